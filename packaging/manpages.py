#!/usr/bin/env python3
"""Man pages from the program's own help: manpages.py PROGRAM OUTPUT_DIRECTORY [DATE].

Reads what `PROGRAM --experimental-dump-help` prints (swift-argument-parser's tool info, version 0) and writes
tapbridge.1 and a page for each subcommand.
"""
import json
import pathlib
import subprocess
import sys


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\n".join("\\&" + line if line[:1] in (".", "'") else line for line in text.split("\n"))


def name_of(name):
    dashes = {"long": "--", "short": "-", "longWithSingleDash": "-"}[name["kind"]]
    return dashes + name["name"]


def usage_of(argument):
    value = argument.get("valueName", "value")
    if argument["kind"] == "positional":
        text = "\\fI%s\\fR" % escape(value)
    else:
        preferred = argument.get("preferredName") or argument["names"][0]
        text = "\\fB%s\\fR" % escape(name_of(preferred))
        if argument["kind"] == "option":
            text += " \\fI%s\\fR" % escape(value)
    if argument.get("isRepeating"):
        text += " ..."
    return "[" + text + "]" if argument.get("isOptional") else text


def page(command, path, date, version, lines):
    title = "-".join(path)
    visible = [a for a in command.get("arguments", []) if a.get("shouldDisplay", True)]
    lines.append('.TH "%s" 1 "%s" "tapbridge %s" "Tapbridge"' % (title.upper(), date, version))
    lines += [".SH NAME", "%s \\- %s" % (escape(title), escape(command.get("abstract", "").rstrip(".")))]
    children = [c for c in command.get("subcommands", []) if c["commandName"] != "help"]
    synopsis = "\\fB%s\\fR" % escape(" ".join(path))
    if visible:
        synopsis += " " + " ".join(usage_of(a) for a in visible)
    lines += [".SH SYNOPSIS", synopsis]
    if children:
        lines += [".br", "\\fB%s\\fR \\fIcommand\\fR" % escape(" ".join(path))]
    if command.get("discussion"):
        lines += [".SH DESCRIPTION", ".nf", escape(command["discussion"]), ".fi"]
    if visible:
        lines.append(".SH OPTIONS")
        for argument in visible:
            if argument["kind"] == "positional":
                head = "\\fI%s\\fR" % escape(argument.get("valueName", "value"))
            else:
                head = ", ".join("\\fB%s\\fR" % escape(name_of(n)) for n in argument["names"])
                if argument["kind"] == "option":
                    head += " \\fI%s\\fR" % escape(argument.get("valueName", "value"))
            body = argument.get("abstract", "")
            default = argument.get("defaultValue")
            if default:
                body += " (default: %s)" % default
            lines += [".TP", head, escape(body) or "\\&"]
    if children:
        lines.append(".SH COMMANDS")
        for child in children:
            lines += [
                ".TP",
                "\\fB%s\\fR(1)" % escape("-".join(path + [child["commandName"]])),
                escape(child.get("abstract", "")) or "\\&",
            ]
    if len(path) > 1:
        lines += [".SH SEE ALSO", "\\fB%s\\fR(1)" % escape("-".join(path[:-1]))]


def write(command, path, directory, date, version):
    lines = []
    page(command, path, date, version, lines)
    (directory / ("-".join(path) + ".1")).write_text("\n".join(lines) + "\n")
    for child in command.get("subcommands", []):
        if child["commandName"] != "help" and child.get("shouldDisplay", True):
            write(child, path + [child["commandName"]], directory, date, version)


def main():
    program, directory = sys.argv[1], pathlib.Path(sys.argv[2])
    date = sys.argv[3] if len(sys.argv) > 3 else ""
    help_text = subprocess.run(
        [program, "--experimental-dump-help"], check=True, capture_output=True, text=True
    ).stdout
    version = subprocess.run([program, "--version"], check=True, capture_output=True, text=True).stdout.strip()
    directory.mkdir(parents=True, exist_ok=True)
    command = json.loads(help_text)["command"]
    write(command, [command["commandName"]], directory, date, version)


main()
