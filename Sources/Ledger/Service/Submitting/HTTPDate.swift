internal import Foundation
internal import NIOConcurrencyHelpers

/// The Date field of answers (RFC 9110, 6.6.1), formatted once a second. Any thread.
final class HTTPDate: Sendable {
    private let cached = NIOLockedValueBox<(second: Int, text: String)>((-1, ""))

    var field: String { field(at: Int(Date().timeIntervalSince1970)) }

    func field(at second: Int) -> String {
        cached.withLockedValue { cached in
            if cached.second != second { cached = (second, Self.format(second)) }
            return cached.text
        }
    }

    /// IMF-fixdate of seconds since 1970.
    private static func format(_ second: Int) -> String {
        let days = second / 86_400
        let (year, month, day) = date(days)
        let weekday = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"][days % 7]
        let name = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"][month - 1]
        let time = [second / 3600 % 24, second / 60 % 60, second % 60].map(twoDigits).joined(separator: ":")
        return "\(weekday), \(twoDigits(day)) \(name) \(year) \(time) GMT"
    }

    private static func twoDigits(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }

    /// The Gregorian date of days since 1970. Years are counted from March, so that a leap day is a year's last.
    private static func date(_ days: Int) -> (year: Int, month: Int, day: Int) {
        let daysOfEra = 146_097
        let shifted = days + 719_468
        let (era, day) = (shifted / daysOfEra, shifted % daysOfEra)
        let yearOfEra = (day - day / 1460 + day / 36_524 - day / 146_096) / 365
        let dayOfYear = day - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (
            yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        )
    }
}
