import Crypto

/// Ed25519 with the strict rules E1 to E4: cofactorless, canonical and without the low-order points.
///
/// RFC 8032 leaves verifiers room to disagree about low-order and non-canonical points. A ledger cannot have that: each
/// verifier must give the same answer for every byte string.
enum StrictEd25519 {
    /// E1 to E4 for a signature of any length.
    static func isValid(signature: [UInt8], for message: [UInt8], key: PublicKey) -> Bool {
        // E2 holds by the type of `key`; E4 with S < L is the equation of the library.
        guard signature.count == 64, isAcceptable(encodedPoint: Bytes32(signature, at: 0)),
            let point = try? Curve25519.Signing.PublicKey(rawRepresentation: key.bytes)
        else { return false }
        return point.isValidSignature(signature, for: message)
    }

    /// E2 and E3: the y coordinate is below the field prime and none of the low-order ones. The sign bit is ignored.
    static func isAcceptable(encodedPoint point: Bytes32) -> Bool {
        // Little-endian limbs of y, the least significant first.
        let y0 = point.w0.byteSwapped
        let y1 = point.w1.byteSwapped
        let y2 = point.w2.byteSwapped
        let y3 = point.w3.byteSwapped & 0x7fff_ffff_ffff_ffff
        if y1 == 0, y2 == 0, y3 == 0 { return y0 > 1 }
        if y1 == .max, y2 == .max, y3 == 0x7fff_ffff_ffff_ffff { return y0 < 0xffff_ffff_ffff_ffec }
        let masked = Bytes32(w0: point.w0, w1: point.w1, w2: point.w2, w3: point.w3 & ~0x80)
        return masked != lowOrderA && masked != lowOrderB
    }

    /// The two y coordinates of order 8, as they are encoded.
    private static let lowOrderA = Bytes32(
        w0: 0x26e8_958f_c2b2_27b0,
        w1: 0x45c3_f489_f2ef_98f0,
        w2: 0xd5df_ac05_d3c6_3339,
        w3: 0xb138_0288_6d53_fc05
    )
    private static let lowOrderB = Bytes32(
        w0: 0xc717_6a70_3d4d_d84f,
        w1: 0xba3c_0b76_0d10_670f,
        w2: 0x2a20_53fa_2c39_ccc6,
        w3: 0x4ec7_fd77_92ac_037a
    )
}
