# Before Snakemake reads the configuration: it runs what a file calls code (__use_yte__), and makes objects and dates.

from pathlib import Path

from snakemake.exceptions import WorkflowError

from byzcode.errors import UserError
from byzcode.studies.plain_yaml import read_yaml

try:
    if Path("config/config.yaml").exists():
        read_yaml("config/config.yaml")
except UserError as error:
    raise WorkflowError(str(error)) from None
