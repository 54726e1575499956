internal import CZlib

/// gzip (RFC 1952) by the system's zlib.
enum ZlibGzip {
    /// The bytes as one gzip member; nil when zlib has no memory or the bytes are more than 4 GiB.
    ///
    /// Takes about 20 ms of one core for each mebibyte, and 256 KiB of memory besides the result.
    static func compress(_ bytes: [UInt8]) -> [UInt8]? {
        guard !bytes.isEmpty, let count = UInt32(exactly: bytes.count) else { return nil }
        var stream = unsafe z_stream()
        guard unsafe webgw_gzip_start(&stream, Z_DEFAULT_COMPRESSION) == Z_OK else { return nil }
        defer { unsafe deflateEnd(&stream) }
        var output = [UInt8](repeating: 0, count: Int(unsafe deflateBound(&stream, UInt(count))))
        let capacity = UInt32(clamping: output.count)
        let result = unsafe bytes.withUnsafeBufferPointer { input in
            unsafe output.withUnsafeMutableBufferPointer { output in
                // zlib reads what next_in points to; the type lacks a const.
                unsafe stream.next_in = unsafe UnsafeMutablePointer(mutating: input.baseAddress)
                unsafe stream.avail_in = count
                unsafe stream.next_out = output.baseAddress
                unsafe stream.avail_out = capacity
                return unsafe deflate(&stream, Z_FINISH)
            }
        }
        guard result == Z_STREAM_END else { return nil }
        output.removeLast(Int(unsafe stream.avail_out))
        return output
    }
}
