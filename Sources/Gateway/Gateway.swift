// The Gateway target.
