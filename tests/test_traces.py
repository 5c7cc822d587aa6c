"""What the tests leave behind: nothing outside pytest's own folders."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path


def test_temporary_files_lie_below_those_of_pytest(temporary):
    assert tempfile.gettempdir() == str(temporary)
    with tempfile.NamedTemporaryFile() as file:
        assert Path(file.name).parent == temporary


def test_so_do_those_of_what_a_test_starts(temporary):
    code = "import tempfile; print(tempfile.gettempdir())"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert found.strip() == str(temporary)


def test_what_is_kept_for_later_lies_with_the_cache_of_pytest(pytestconfig):
    for variable in ("XDG_CACHE_HOME", "TORCHINDUCTOR_CACHE_DIR"):
        assert Path(os.environ[variable]).is_relative_to(pytestconfig.rootpath / ".pytest_cache")
