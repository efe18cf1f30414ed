"""Checks an OpenAPI document, and JSON values against its schemas.

Usage: openapi_check.py FILE < LINES, each line a schema's name and a JSON value.
Needs: pip install openapi-spec-validator jsonschema pyyaml
"""

import json
import sys

import yaml
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

with open(sys.argv[1]) as file:
    document = yaml.safe_load(file)
validate(document)

validators = {}
count = 0
for line in sys.stdin:
    name, value = line.split(" ", 1)
    if name not in validators:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        validators[name] = Draft202012Validator(schema)
    validators[name].validate(json.loads(value))
    count += 1
print(count, "fit")
