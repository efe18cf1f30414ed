"""Fuzzes a running daemon from its own OpenAPI document: no server error, and every answer fits the document.

Usage: api_fuzz.py URL EXAMPLES
Needs: pip install schemathesis
"""

import subprocess
import sys
from pathlib import Path

url, examples = sys.argv[1:3]
# Event streams do not end; sessions and the configuration are the daemon's own affairs.
streams = r"/events$|/v1/session|/v1/configuration/reload"
checks = "not_a_server_error,response_schema_conformance,content_type_conformance,status_code_conformance"
command = [
    str(Path(sys.executable).parent / "schemathesis"), "run", url + "/openapi.json",
    "--max-examples", examples, "--checks", checks, "--exclude-path-regex", streams,
    "--seed", "7", "--request-timeout", "30", "--no-color", "--generation-database", "none",
]
sys.exit(subprocess.run(command).returncode)
