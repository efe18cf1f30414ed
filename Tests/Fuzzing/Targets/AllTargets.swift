extension FuzzTarget {
    /// The table, by subject.
    public static let all: [FuzzTarget] =
        emv + kernels + cards + contactless + traces + terminals + texts + files + serviceFiles + iso8583
        + iso8583Hosts
        + http + remoteReaders + journal + api
}
