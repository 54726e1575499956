public import Foundation
import Glibc

extension Process {
    /// How it ended, the number of the signal when it was killed; nil while it runs.
    ///
    /// The kernel is asked. Foundation learns of an end by the end of a descriptor, of which any process that was started at the same
    /// moment may hold a copy.
    public var ending: Int32? {
        var information = unsafe siginfo_t()
        // Leaves the end to Foundation, which takes it as soon as it hears of it.
        let answer = unsafe waitid(P_PID, id_t(processIdentifier), &information, WEXITED | WNOHANG | WNOWAIT)
        if answer == 0 { return unsafe information.si_signo == 0 ? nil : information._sifields._sigchld.si_status }
        // Foundation has taken it, and is about to say so: who was told of the end once is told the same again.
        while isRunning { sched_yield() }
        return terminationStatus
    }

    /// Kills it if it runs.
    ///
    /// SIGTERM may never come: a process begins with the signals blocked that the thread blocks that starts it, and the threads of the pool on
    /// which tests run block nearly all.
    public func endNow() {
        if processIdentifier > 0, ending == nil { kill(processIdentifier, SIGKILL) }
    }
}
