import EMV
import EMVCryptography

/// The messages of Book A, Table 9-3 in the languages that the terminal speaks.
enum MessageCatalogue {
    static let languages = ["en", "de", "fr", "es", "it", "nl", "pl", "pt"]

    static func text(_ message: UserInterfaceRequest.Message, language: String) -> String {
        let column = languages.firstIndex(of: language) ?? 0
        let row = texts(message)
        return column < row.count ? row[column] : row.first ?? ""
    }

    static func available(_ language: String) -> String {
        let words = [
            "Available:", "Verfügbar:", "Disponible :", "Disponible:", "Disponibile:",
            "Beschikbaar:", "Dostępne:", "Disponível:",
        ]
        return words[languages.firstIndex(of: language) ?? 0]
    }

    private static func texts(_ message: UserInterfaceRequest.Message) -> [String] {
        switch message {
        case .approved:
            [
                "Approved", "Genehmigt", "Accepté", "Aprobada", "Approvato", "Goedgekeurd", "Zatwierdzono",
                "Aprovado",
            ]
        case .notAuthorised:
            [
                "Not authorised", "Abgelehnt", "Refusé", "No autorizada", "Non autorizzato", "Geweigerd",
                "Odmowa", "Não autorizado",
            ]
        case .enterPIN:
            [
                "Please enter your PIN", "Bitte PIN eingeben", "Saisissez votre code", "Introduzca su PIN",
                "Inserire il PIN", "Voer uw pincode in", "Wprowadź PIN", "Introduza o PIN",
            ]
        case .processingError:
            [
                "Processing error", "Verarbeitungsfehler", "Erreur de traitement", "Error de proceso",
                "Errore di elaborazione", "Verwerkingsfout", "Błąd przetwarzania", "Erro de processamento",
            ]
        case .removeCard:
            [
                "Please remove card", "Bitte Karte entfernen", "Retirez la carte", "Retire la tarjeta",
                "Rimuovere la carta", "Verwijder uw kaart", "Zabierz kartę", "Retire o cartão",
            ]
        case .welcome:
            [
                "Welcome", "Willkommen", "Bienvenue", "Bienvenido", "Benvenuto", "Welkom", "Witamy",
                "Bem-vindo",
            ]
        case .presentCard:
            [
                "Present card", "Karte vorhalten", "Présentez la carte", "Acerque la tarjeta",
                "Avvicinare la carta", "Houd uw kaart voor", "Zbliż kartę", "Aproxime o cartão",
            ]
        case .processing:
            [
                "Processing", "Bitte warten", "Traitement en cours", "Procesando", "In elaborazione",
                "Bezig", "Przetwarzanie", "A processar",
            ]
        case .cardReadOKRemove:
            [
                "Card read OK. Please remove card", "Karte gelesen. Bitte entfernen",
                "Carte lue. Retirez la carte", "Lectura correcta. Retire la tarjeta",
                "Lettura riuscita. Rimuovere la carta", "Kaart gelezen. Verwijder uw kaart",
                "Odczytano. Zabierz kartę", "Leitura concluída. Retire o cartão",
            ]
        case .insertOrSwipe:
            [
                "Please insert or swipe card", "Bitte Karte einstecken oder durchziehen",
                "Insérez ou glissez la carte", "Inserte o deslice la tarjeta",
                "Inserire o strisciare la carta", "Steek uw kaart in of haal hem door",
                "Włóż lub przeciągnij kartę", "Insira ou passe o cartão",
            ]
        case .presentOneCardOnly:
            [
                "Please present one card only", "Bitte nur eine Karte vorhalten",
                "Présentez une seule carte", "Acerque solo una tarjeta", "Avvicinare una sola carta",
                "Houd slechts één kaart voor", "Zbliż tylko jedną kartę", "Aproxime apenas um cartão",
            ]
        case .approvedSign:
            [
                "Approved. Please sign", "Genehmigt. Bitte unterschreiben", "Accepté. Signez",
                "Aprobada. Firme, por favor", "Approvato. Firmare", "Goedgekeurd. Teken a.u.b.",
                "Zatwierdzono. Podpisz", "Aprovado. Assine",
            ]
        case .authorising:
            [
                "Authorising, please wait", "Autorisierung, bitte warten", "Autorisation en cours",
                "Autorizando, espere", "Autorizzazione in corso", "Autorisatie, even geduld",
                "Autoryzacja, czekaj", "A autorizar, aguarde",
            ]
        case .insertSwipeOrTryAnotherCard:
            [
                "Insert, swipe or try another card", "Karte einstecken oder andere Karte verwenden",
                "Insérez, glissez ou essayez une autre carte", "Inserte, deslice o pruebe otra tarjeta",
                "Inserire, strisciare o usare un'altra carta", "Steek in of gebruik een andere kaart",
                "Włóż, przeciągnij lub użyj innej karty", "Insira, passe ou use outro cartão",
            ]
        case .insertCard:
            [
                "Please insert card", "Bitte Karte einstecken", "Insérez la carte", "Inserte la tarjeta",
                "Inserire la carta", "Steek uw kaart in", "Włóż kartę", "Insira o cartão",
            ]
        case .clearDisplay, .notApplicable: [""]
        case .seePhone:
            [
                "See phone for instructions", "Bitte Telefon beachten", "Consultez votre téléphone",
                "Consulte su teléfono", "Controllare il telefono", "Kijk op uw telefoon",
                "Sprawdź telefon", "Consulte o telemóvel",
            ]
        case .presentCardAgain:
            [
                "Present card again", "Karte erneut vorhalten", "Présentez à nouveau la carte",
                "Acerque de nuevo la tarjeta", "Avvicinare di nuovo la carta",
                "Houd uw kaart opnieuw voor", "Zbliż kartę ponownie", "Aproxime o cartão novamente",
            ]
        }
    }
}
