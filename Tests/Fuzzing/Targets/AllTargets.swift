extension FuzzTarget {
    /// The table, by subject.
    public static let all: [FuzzTarget] =
        emv + kernels + cards + contactless + traces + terminals + texts + files + serviceFiles + iso8583
        + iso8583Hosts + pasted
        + http + remoteReaders + journal + api
}
