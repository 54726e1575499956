/// What the streams of one contract share on one loop: the bytes they carried, and the contract's rate. Loop-owned.
///
/// Counted is the payload of DATA and DATAGRAM frames, so both ends of a session count the same bytes.
final class ContractFlow {
    /// Bytes sent into the tunnel since this object was made.
    private(set) var sent: Int64 = 0
    /// Bytes received from the tunnel since this object was made.
    private(set) var received: Int64 = 0
    /// Streams opened since this object was made.
    var opened: Int64 = 0
    /// Nil where the rate is without limit, as on an agent.
    private(set) var sending: Pacer?
    private(set) var receiving: Pacer?

    /// Without a limit.
    init() {}

    /// Within the rates of a contract: `inbound` for what goes into the tunnel, `outbound` for what comes out of it.
    init(loop: Loop, inbound: SharedRate, outbound: SharedRate) {
        pace(loop, inbound, outbound)
    }

    /// Paces the directions whose rate has a limit now. One that was paced stays so: its line empties at the new rate.
    func pace(_ loop: Loop, _ inbound: SharedRate, _ outbound: SharedRate) {
        if sending == nil, !inbound.isUnlimited {
            sending = Pacer(loop: loop, rate: inbound, direction: .sending)
        }
        if receiving == nil, !outbound.isUnlimited {
            receiving = Pacer(loop: loop, rate: outbound, direction: .receiving)
        }
    }

    /// Times that a stream had to wait for the rate.
    var delays: Int64 { (sending?.delays ?? 0) + (receiving?.delays ?? 0) }

    @inline(__always)
    func didSend(_ count: Int) {
        sent &+= Int64(count)
        sending?.charge(count)
    }

    @inline(__always)
    func didReceive(_ count: Int) { received &+= Int64(count) }
}
