internal import COpenSSL

/// An OpenSSL provider that gives AES-128-GCM by `RecordCipher`, and the library context in which it stands before OpenSSL's own.
///
/// OpenSSL 3.0 has AES-GCM without vector AES. The provider serves the records of TLS 1.3 and nothing else: a message is one nonce, one
/// header and one payload. So it stands in a context of its own, which only the settings of tunnels use. See OpenSSL's provider-cipher(7).
enum RecordCipherProvider {
    /// The context of the tunnel's TLS; nil when OpenSSL did not take the provider.
    nonisolated(unsafe) static let context: OpaquePointer? = {
        guard let library = unsafe OSSL_LIB_CTX_new(),
            unsafe OSSL_PROVIDER_add_builtin(
                library,
                name,
                { _, _, table, context in unsafe RecordCipherProvider.begin(table, context) }
            ) == 1,
            unsafe OSSL_PROVIDER_load(library, name) != nil,
            unsafe OSSL_PROVIDER_load(library, "default") != nil
        else { return nil }
        return unsafe library
    }()

    /// Asks for the provider's cipher where it has one.
    static let preference = "?provider=webgw"
    private static let name = "webgw"

    private static func begin(
        _ table: UnsafeMutablePointer<UnsafePointer<OSSL_DISPATCH>?>?,
        _ context: UnsafeMutablePointer<UnsafeMutableRawPointer?>?
    ) -> Int32 {
        unsafe table?.pointee = UnsafePointer(calls)
        unsafe context?.pointee = nil
        return 1
    }

    /// The provider's own calls.
    nonisolated(unsafe) private static let calls: UnsafeMutablePointer<OSSL_DISPATCH> = {
        let query: Query = { _, operation, isVolatile in
            unsafe isVolatile?.pointee = 0
            return operation == OSSL_OP_CIPHER ? unsafe UnsafePointer(RecordCipherProvider.ciphers) : nil
        }
        return unsafe RecordCipherProvider.table([
            (OSSL_FUNC_PROVIDER_QUERY_OPERATION, unsafeBitCast(query, to: Call.self))
        ])
    }()

    nonisolated(unsafe) private static let ciphers: UnsafeMutablePointer<OSSL_ALGORITHM> = {
        let list = UnsafeMutablePointer<OSSL_ALGORITHM>.allocate(capacity: 2)
        unsafe list.initialize(repeating: OSSL_ALGORITHM(), count: 2)
        unsafe list[0].algorithm_names = constant("AES-128-GCM:id-aes128-GCM:2.16.840.1.101.3.4.1.6")
        unsafe list[0].property_definition = constant("provider=webgw")
        unsafe list[0].implementation = unsafe UnsafePointer(table(cipherCalls()))
        return unsafe list
    }()

    typealias Call = @convention(c) () -> Void
    private typealias Query =
        @convention(c) (UnsafeMutableRawPointer?, Int32, UnsafeMutablePointer<Int32>?) -> UnsafePointer<OSSL_ALGORITHM>?

    /// A table that lives as long as the process, ended by a zero.
    private static func table(_ entries: [(Int32, Call)]) -> UnsafeMutablePointer<OSSL_DISPATCH> {
        let table = UnsafeMutablePointer<OSSL_DISPATCH>.allocate(capacity: entries.count + 1)
        unsafe table.initialize(repeating: OSSL_DISPATCH(), count: entries.count + 1)
        for (index, entry) in entries.enumerated() {
            unsafe table[index] = OSSL_DISPATCH(function_id: entry.0, function: entry.1)
        }
        return unsafe table
    }

    private static func constant(_ text: StaticString) -> UnsafePointer<CChar> {
        unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }
}
