/// Every bound of a gateway, with its default and the reason for it. What a peer can make the gateway hold or wait for is here.
public struct GatewayLimits: Sendable, Hashable {
    /// Visitors at once, over all loops. A visitor costs a descriptor; the usual limit of a service is 20,000 and agents need some too.
    public var connections = 15_000

    /// Largest request head in bytes, at most 65,535. Browsers send 1 to 4 KiB, single sign-on cookies reach 12.
    public var headerSize = 16_384

    /// Seconds a request head, or a TLS ClientHello, may take from its first byte; a new connection counts as a first byte.
    public var headerSeconds: UInt32 = 10

    /// Seconds without a byte after which an HTTP connection ends, between requests or in one. Long polls wait up to five minutes.
    public var idleSeconds: UInt32 = 300

    /// Seconds without a byte after which a TCP, TLS or upgraded connection ends. Database and shell sessions are silent for long; a
    /// visitor who is gone for good is found by the workload's traffic or by this.
    public var rawIdleSeconds: UInt32 = 86_400

    /// Seconds an answered connection is kept to throw away what the visitor still sends.
    public var lingerSeconds: UInt32 = 2

    /// Bytes one loop holds for visitors and agents that do not read. Half of a small machine's memory would be too much.
    public var stuckBytes = 256 << 20

    /// Bytes a second, averaged, that a request body has to bring before its answer begins, and that a visitor has to take while bytes
    /// wait for it, once `slowSeconds` are over. The slowest modems sent a thousand.
    public var slowestRate = 500

    /// Seconds for which a slow visitor is borne with.
    public var slowSeconds: UInt32 = 30

    /// Requests and handshakes a second that one source may make for names that nobody serves here, on each loop, after a burst of
    /// ten times as many. A visitor with an old link makes one; a scanner makes thousands.
    public var unknownPerSecond = 20

    /// Seconds without an agent after which a contract is reported unreachable. A restarted agent is back in less.
    public var unreachableSeconds: UInt32 = 60

    /// Seconds between two looks at the proof of an overlay backend, at most a day. A withdrawn proof is noticed within them.
    public var overlayRecheckSeconds: UInt32 = 300

    /// TLS handshakes that one source may begin on the tunnel endpoint per second, after a burst of four times as many. Agents
    /// behind one address come together after an outage; more is an attempt to use up the processor.
    public var handshakesPerSecond = 16

    /// TLS handshakes on the tunnel endpoint that begin per second from all sources together, over all loops, after a burst of four times
    /// as many. One costs half a millisecond of a processor; agents dial again.
    public var allHandshakesPerSecond = 500

    public init() {}
}
