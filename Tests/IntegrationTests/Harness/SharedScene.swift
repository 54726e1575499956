import Testing

/// One scene for all tests of a suite, which change nothing in it. It ends with the suite, and its processes with it.
struct SharedScene: Sendable {
    /// Of the suite that is running; nil where a suite does not say `.sharesOneScene`.
    @TaskLocal static var current: SharedScene?

    var gateway: Deployment.Gateway
    var host: String
    private let keeper: Keeper

    init(scene: sending EndToEnd.Scene) {
        gateway = scene.gateway
        host = scene.host
        keeper = Keeper(scene)
    }

    func page() async -> (status: Int, body: String)? {
        await fetch("/", host: host, at: gateway.address, gateway.http)
    }

    /// Keeps the processes alive.
    private actor Keeper {
        let scene: EndToEnd.Scene
        init(_ scene: sending EndToEnd.Scene) { self.scene = scene }
    }

    struct Trait: SuiteTrait, TestScoping {
        func provideScope(
            for test: Test,
            testCase: Test.Case?,
            performing function: @concurrent @Sendable () async throws -> Void
        ) async throws {
            let scene = try await SharedScene(scene: EndToEnd.Scene())
            try await SharedScene.$current.withValue(scene, operation: function)
        }
    }
}

extension Trait where Self == SharedScene.Trait {
    static var sharesOneScene: Self { SharedScene.Trait() }
}
