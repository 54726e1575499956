// swift-tools-version: 6.3
import PackageDescription

let settings: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let logging: Target.Dependency = .product(name: "Logging", package: "swift-log")
let hummingbird: Target.Dependency = .product(name: "Hummingbird", package: "hummingbird")
let lifecycle: Target.Dependency = .product(name: "ServiceLifecycle", package: "swift-service-lifecycle")
let nio: [Target.Dependency] = [
    .product(name: "NIOCore", package: "swift-nio"),
    .product(name: "NIOPosix", package: "swift-nio"),
    .product(name: "NIOConcurrencyHelpers", package: "swift-nio"),
]

let package = Package(
    name: "webgw",
    products: [
        .executable(name: "gw-node", targets: ["gw-node"]),
        .library(name: "Contracts", targets: ["Contracts"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.0"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.5.1"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.0"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.34.1"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.0", traits: []),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .target(
            name: "Contracts",
            dependencies: [crypto, .product(name: "HashTreeCollections", package: "swift-collections")],
            swiftSettings: settings
        ),
        .systemLibrary(
            name: "CCurl",
            path: "Sources/Ledger/Client/CCurl",
            pkgConfig: "libcurl",
            providers: [.apt(["libcurl4-openssl-dev"])]
        ),
        .systemLibrary(
            name: "CZlib",
            path: "Sources/Ledger/Service/CZlib",
            pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"])]
        ),
        .target(
            name: "Ledger",
            dependencies: [
                "Contracts", "CCurl", "CZlib", crypto, logging, hummingbird, lifecycle,
                .product(name: "GRDB", package: "GRDB.swift"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "NIOHTTPTypes", package: "swift-nio-extras"),
            ] + nio,
            exclude: ["Client/CCurl", "Service/CZlib"],
            swiftSettings: settings
        ),
        .systemLibrary(name: "CLinux", path: "Sources/Gateway/Loop/CLinux"),
        .systemLibrary(name: "CRecordCipher", path: "Sources/Gateway/TLS/CRecordCipher"),
        .systemLibrary(
            name: "COpenSSL",
            path: "Sources/Gateway/TLS/COpenSSL",
            pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"])]
        ),
        .target(
            name: "Gateway",
            dependencies: [
                "Contracts", "CLinux", "COpenSSL", "CRecordCipher", crypto, logging,
                .product(name: "HashTreeCollections", package: "swift-collections"),
            ],
            exclude: ["Loop/CLinux", "TLS/COpenSSL", "TLS/CRecordCipher"],
            swiftSettings: settings
        ),
        .executableTarget(
            name: "gw-node",
            dependencies: [
                "Contracts", "Ledger", "Gateway", crypto, logging, lifecycle, hummingbird,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Yams", package: "Yams"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ] + nio,
            swiftSettings: settings
        ),
        .target(
            name: "TestSupport",
            dependencies: ["Contracts", crypto] + nio,
            path: "Tests/Support",
            swiftSettings: settings
        ),
        .testTarget(
            name: "ContractsTests",
            dependencies: ["Contracts", "TestSupport", crypto],
            swiftSettings: settings
        ),
        .testTarget(
            name: "LedgerTests",
            dependencies: [
                "Contracts", "Ledger", "TestSupport", crypto, logging, lifecycle,
                .product(name: "GRDB", package: "GRDB.swift"),
            ] + nio,
            swiftSettings: settings
        ),
        // It sees what is internal to the gateway, as tests may: what ships is not built with it.
        .testTarget(
            name: "GatewaySupport",
            dependencies: ["Contracts", "Gateway"],
            path: "Tests/GatewaySupport",
            swiftSettings: settings
        ),
        .testTarget(
            name: "GatewayTests",
            dependencies: ["Contracts", "Gateway", "GatewaySupport", "TestSupport", crypto],
            swiftSettings: settings
        ),
        .testTarget(name: "ArchitectureTests", dependencies: ["TestSupport"], swiftSettings: settings),
        .testTarget(
            name: "IntegrationTests",
            dependencies: [
                "gw-node", "Contracts", "Gateway", "GatewaySupport", "Ledger", "TestSupport", crypto, logging,
                .product(name: "GRDB", package: "GRDB.swift"),
            ],
            swiftSettings: settings
        ),
        .testTarget(name: "CommandTests", dependencies: ["gw-node", "TestSupport"], swiftSettings: settings),
    ]
)

// The benchmarks see more than a program of the outside may, so they are targets here, built only when asked for.
if Context.environment["WEBGW_BENCHMARKS"] != nil {
    let arguments: Target.Dependency = .product(name: "ArgumentParser", package: "swift-argument-parser")
    package.targets.append(
        .executableTarget(
            name: "ledger-bench",
            dependencies: ["Contracts", "Ledger", crypto, arguments],
            path: "Benchmarks/ledger",
            exclude: ["post.c", "compare.py"],
            swiftSettings: settings
        )
    )
    package.targets.append(
        .executableTarget(
            name: "gateway-bench",
            dependencies: ["Contracts", "Gateway", logging, arguments],
            path: "Benchmarks/gateway",
            exclude: ["sessions.c"],
            swiftSettings: settings
        )
    )
}
