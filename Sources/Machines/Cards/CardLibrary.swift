public import ProfileFile

/// The card profiles that come with Tapbridge, and profiles from files.
public enum CardLibrary {
    /// One line registers a profile: its id, and its file in `Profiles/` as compiled in.
    private static let files: [(id: String, file: String, bytes: [UInt8])] = [
        ("visa-credit", "visa-credit.yaml", PackageResources.visa_credit_yaml),
        ("visa-debit", "visa-debit.yaml", PackageResources.visa_debit_yaml),
        ("visa-expired", "visa-expired.yaml", PackageResources.visa_expired_yaml),
        ("visa-blocked", "visa-blocked.yaml", PackageResources.visa_blocked_yaml),
        ("visa-tampered", "visa-tampered.yaml", PackageResources.visa_tampered_yaml),
        ("visa-no-oda", "visa-no-oda.yaml", PackageResources.visa_no_oda_yaml),
        ("visa-poor", "visa-poor.yaml", PackageResources.visa_poor_yaml),
        ("apple-pay-visa", "apple-pay-visa.yaml", PackageResources.apple_pay_visa_yaml),
        ("google-pay-visa", "google-pay-visa.yaml", PackageResources.google_pay_visa_yaml),
        ("alipay-wallet", "alipay-wallet.yaml", PackageResources.alipay_wallet_yaml),
        ("mc-credit", "mc-credit.yaml", PackageResources.mc_credit_yaml),
        ("mc-debit", "mc-debit.yaml", PackageResources.mc_debit_yaml),
        ("mc-no-oda", "mc-no-oda.yaml", PackageResources.mc_no_oda_yaml),
        ("mc-mag-stripe", "mc-mag-stripe.yaml", PackageResources.mc_mag_stripe_yaml),
        ("mc-data-storage", "mc-data-storage.yaml", PackageResources.mc_data_storage_yaml),
        ("mc-declines", "mc-declines.yaml", PackageResources.mc_declines_yaml),
        ("apple-pay-mastercard", "apple-pay-mastercard.yaml", PackageResources.apple_pay_mastercard_yaml),
        ("google-pay-mastercard", "google-pay-mastercard.yaml", PackageResources.google_pay_mastercard_yaml),
    ]

    /// Ids of the built-in profiles, in the order in which they are shown.
    public static var identifiers: [String] { files.map(\.id) }

    /// All built-in profiles.
    public static func profiles() throws(ProfileFileError) -> [CardProfile] {
        var result: [CardProfile] = []
        for file in files { result.append(try profile(file.id)) }
        return result
    }

    /// The text of a built-in profile, as a start for one's own; nil for an unknown id.
    public static func text(of id: String) -> String? {
        files.first { $0.id == id }.map { String(decoding: $0.bytes, as: UTF8.self) }
    }

    /// A profile by the id of a built-in one, or else by the path of a YAML file.
    /// - Throws: `ProfileFileError` with file, line and what was expected; for a name that is neither, with
    ///   the ids there are.
    public static func profile(_ idOrPath: String) throws(ProfileFileError) -> CardProfile {
        if let file = files.first(where: { $0.id == idOrPath }) {
            return try CardProfile(
                ProfileFile(file: file.file, text: String(decoding: file.bytes, as: UTF8.self)))
        }
        guard idOrPath.contains("/") || idOrPath.hasSuffix(".yaml") || idOrPath.hasSuffix(".yml") else {
            throw ProfileFileError(
                file: idOrPath,
                reason:
                    "no such card profile; known are \(identifiers.joined(separator: ", ")), or give a .yaml file"
            )
        }
        return try CardProfile(ProfileFile(path: idOrPath))
    }
}
