import Testing

@testable import Gateway

@Suite("ReceiveWindow")
struct ReceiveWindowTests {
    @Test("refuses what is beyond the window")
    func beyond() {
        var window = ReceiveWindow()
        let fits = window.receive(262_144)
        let overflows = window.receive(1)
        #expect(fits && !overflows)
    }

    @Test("grants again when half of it was taken, and not before")
    func grants() {
        var window = ReceiveWindow()
        let fits = window.receive(200_000)
        let early = window.take(131_071, now: 1, roundTrip: 0) { _ in true }
        let due = window.take(1, now: 2, roundTrip: 0) { _ in true }
        #expect(fits)
        #expect(early == 0)
        #expect(due == 131_072)
        #expect(window.outstanding == 262_144 - 200_000 + 131_072)
    }

    @Test(
        "doubles while half a window passes within a round trip, up to 16 MiB, never beyond what was received and granted"
    )
    func grows() {
        var window = ReceiveWindow()
        var now: UInt64 = 1
        var granted = 262_144
        var received = 0
        for _ in 0..<200 {
            let half = Int(window.size) / 2
            let fits = window.receive(half)
            #expect(fits)
            received += half
            now += 20_000_000
            granted += Int(window.take(half, now: now, roundTrip: 50_000_000) { _ in true })
            #expect(Int(window.outstanding) == granted - received)
        }
        #expect(window.size == 16 << 20)
    }

    @Test("doubles when all of it comes at once, a little more than a round trip after the one before")
    func growsFromWholes() {
        var window = ReceiveWindow()
        var now: UInt64 = 1
        for _ in 0..<8 {
            let fits = window.receive(Int(window.outstanding))
            #expect(fits)
            now += 101_000_000
            _ = window.take(Int(window.size), now: now, roundTrip: 100_000_000) { _ in true }
        }
        #expect(window.size == 16 << 20)
    }

    @Test(
        "fills a line of 1 Gbit/s over 50 ms each way, and carries more where the line is faster",
        arguments: [125_000, 200_000, 700_001, 1_300_007, 9_000_000]
    )
    func fillsLongPath(line bytesPerMillisecond: Int) {
        var window = ReceiveWindow()
        var credit = Frame.initialWindow
        // What is under way each way, by the millisecond of its arrival.
        var bytes = [Int](repeating: 0, count: 50)
        var grants = bytes
        var taken = 0
        var isWithinBounds = true
        for millisecond in 1...5000 {
            let place = millisecond % 50
            credit += grants[place]
            let came = bytes[place]
            isWithinBounds = window.receive(came) && isWithinBounds
            let now = UInt64(millisecond) * 1_000_000
            grants[place] = Int(window.take(came, now: now, roundTrip: 100_000_000) { _ in true })
            isWithinBounds = isWithinBounds && window.untold < ReceiveWindow.mostUntold
            if millisecond > 4000 { taken += came }
            bytes[place] = min(credit, bytesPerMillisecond)
            credit -= bytes[place]
        }
        #expect(isWithinBounds)
        #expect(taken >= 125_000_000)
    }

    @Test("a large window is judged by half of it, however often it is granted")
    func judgesHalves() {
        var window = ReceiveWindow(size: 8 << 20)
        var now: UInt64 = 1
        // Half a window at once, and the next long after a round trip.
        for _ in 0..<40 {
            now += 400_000_000
            for _ in 0..<4 {
                now += 1_000_000
                let fits = window.receive(1 << 20)
                #expect(fits)
                _ = window.take(1 << 20, now: now, roundTrip: 100_000_000) { _ in true }
            }
        }
        #expect(window.size == 8 << 20)
    }

    @Test("stays when the path is slower than the window, and when the budget says no")
    func stays() {
        var slow = ReceiveWindow()
        var poor = ReceiveWindow()
        var now: UInt64 = 1
        for _ in 0..<20 {
            now += 100_000_000
            let slowFits = slow.receive(131_072)
            _ = slow.take(131_072, now: now, roundTrip: 50_000_000) { _ in true }
            let poorFits = poor.receive(131_072)
            #expect(slowFits && poorFits)
            _ = poor.take(131_072, now: now, roundTrip: 500_000_000) { _ in false }
        }
        #expect(slow.size == 262_144)
        #expect(poor.size == 262_144)
    }
}
