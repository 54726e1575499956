extension Deployment {
    /// A ledger and a gateway at one address: the twins `farmer` and `user`, the gateway gw1 of gw.test.example, a name that the user holds, and
    /// agent.key.
    static func withGateway(at address: String, name: String) async throws -> (Deployment, Gateway) {
        let deployment = try await Deployment(address: address)
        try await deployment.makeTwin("farmer")
        try await deployment.makeTwin("user")
        try await deployment.run(["keys", "new", "agent.key"])
        let gateway = try await deployment.makeGateway(
            "gw1",
            farmer: "farmer",
            domain: "gw.test.example",
            address: address
        )
        try await deployment.act("user", ["name", "reserve", name])
        return (deployment, gateway)
    }
}
