/// The console's files as the daemon serves them: one page, its style and its modules, compiled in.
enum ConsoleFiles {
    struct File: Sendable {
        /// `/` or a path from it.
        var path: String
        var type: String
        var bytes: [UInt8]
    }

    private static let script = "text/javascript; charset=utf-8"

    static let all: [File] = [
        File(path: "/", type: "text/html; charset=utf-8", bytes: PackageResources.index_html),
        File(path: "/console.css", type: "text/css; charset=utf-8", bytes: PackageResources.console_css),
        File(path: "/favicon.svg", type: "image/svg+xml", bytes: PackageResources.favicon_svg),
        File(path: "/align.js", type: script, bytes: PackageResources.align_js),
        File(path: "/api.js", type: script, bytes: PackageResources.api_js),
        File(path: "/card-dialog.js", type: script, bytes: PackageResources.card_dialog_js),
        File(path: "/cards.js", type: script, bytes: PackageResources.cards_js),
        File(path: "/compare-view.js", type: script, bytes: PackageResources.compare_view_js),
        File(path: "/console.js", type: script, bytes: PackageResources.console_js),
        File(path: "/device.js", type: script, bytes: PackageResources.device_js),
        File(path: "/dialog.js", type: script, bytes: PackageResources.dialog_js),
        File(path: "/dom.js", type: script, bytes: PackageResources.dom_js),
        File(path: "/engineer.js", type: script, bytes: PackageResources.engineer_js),
        File(path: "/exchange.js", type: script, bytes: PackageResources.exchange_js),
        File(path: "/format.js", type: script, bytes: PackageResources.format_js),
        File(path: "/icons.js", type: script, bytes: PackageResources.icons_js),
        File(path: "/journal-view.js", type: script, bytes: PackageResources.journal_view_js),
        File(path: "/sound.js", type: script, bytes: PackageResources.sound_js),
        File(path: "/sources.js", type: script, bytes: PackageResources.sources_js),
        File(path: "/store.js", type: script, bytes: PackageResources.store_js),
        File(path: "/stream.js", type: script, bytes: PackageResources.stream_js),
        File(path: "/terminal-dialog.js", type: script, bytes: PackageResources.terminal_dialog_js),
        File(path: "/terminal-view.js", type: script, bytes: PackageResources.terminal_view_js),
        File(path: "/text-field.js", type: script, bytes: PackageResources.text_field_js),
        File(path: "/till.js", type: script, bytes: PackageResources.till_js),
        File(path: "/traces-view.js", type: script, bytes: PackageResources.traces_view_js),
        File(path: "/tree.js", type: script, bytes: PackageResources.tree_js),
        File(path: "/virtual-list.js", type: script, bytes: PackageResources.virtual_list_js),
    ]
}
