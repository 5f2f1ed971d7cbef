from __future__ import annotations

from pathlib import Path

from trident.runtime import pip_config


def conf(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_nothing_configured_adds_nothing() -> None:
    assert pip_config.uv_variables({}, []) == {}


def test_later_file_replaces_and_install_goes_over_global(tmp_path: Path) -> None:
    files = [
        conf(tmp_path / "a", "[install]\nindex-url = https://install.example/simple\n[global]\ncert = a\n"),
        conf(tmp_path / "b", "[global]\nindex_url = https://global.example/simple\ncert = b\n"),
    ]
    assert pip_config.read({}, files) == {"index-url": "https://install.example/simple", "cert": "b"}


def test_environment_goes_over_files(tmp_path: Path) -> None:
    files = [conf(tmp_path / "a", "[global]\nfind-links = /nowhere\n")]
    assert pip_config.uv_variables({"PIP_FIND_LINKS": str(tmp_path)}, files) == {"UV_FIND_LINKS": str(tmp_path)}


def test_what_does_not_exist_is_left_out(tmp_path: Path) -> None:
    links = f"/nonexistent {tmp_path} https://wheels.example/x.html"
    extra = f"file:///nonexistent/simple file://{tmp_path}"
    environ = {"PIP_FIND_LINKS": links, "PIP_EXTRA_INDEX_URL": extra}
    assert pip_config.uv_variables(environ, [], extra_indexes=True) == {
        "UV_FIND_LINKS": f"{tmp_path},https://wheels.example/x.html",
        "UV_EXTRA_INDEX_URL": f"file://{tmp_path}",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
    }
    assert "UV_EXTRA_INDEX_URL" not in pip_config.uv_variables(environ, [])


def test_what_is_set_for_uv_wins() -> None:
    environ = {"PIP_INDEX_URL": "https://pip.example", "UV_INDEX_URL": "https://uv.example", "PIP_NO_INDEX": "true"}
    assert pip_config.uv_variables(environ, []) == {"UV_NO_INDEX": "1"}


def test_broken_file_counts_as_absent(tmp_path: Path) -> None:
    assert pip_config.read({}, [conf(tmp_path / "a", "no section"), tmp_path / "missing"]) == {}


def test_files_can_be_switched_off() -> None:
    assert pip_config.read({"PIP_CONFIG_FILE": "/dev/null"}) == {}
