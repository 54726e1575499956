extension Deployment {
    /// A ledger and a gateway at one address, furnished.
    static func withGateway(at address: String, name: String) async throws -> (Deployment, Gateway) {
        let deployment = try await Deployment(address: address)
        return (deployment, try await deployment.furnish(reserving: name, address: address))
    }

    /// Makes what one user needs who has one gateway: the twins `farmer` and `user`, agent.key, and the gateway gw1 of gw.test.example.
    ///
    /// - Parameter name: a name that the user reserves.
    func furnish(
        reserving name: String? = nil,
        leases: Int = 4,
        address: String = Loopback.address()
    ) async throws -> Gateway {
        try await makeTwin("farmer")
        try await makeTwin("user")
        try await run(["keys", "new", "agent.key"])
        if let name { try await act("user", ["name", "reserve", name]) }
        return try await makeGateway(
            "gw1",
            farmer: "farmer",
            domain: "gw.test.example",
            leases: leases,
            address: address
        )
    }
}
