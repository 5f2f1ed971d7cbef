from __future__ import annotations

import json
import os
import tarfile
from pathlib import Path

import pytest
from installation import Installation

from trident.config import load
from trident.doctor import bundle, examination
from trident.doctor.facts import facts
from trident.doctor.patient import Patient
from trident.doctor.redaction import HIDDEN, Redactor

SECRETS = ["correct-horse-battery", "12345678"]


@pytest.mark.parametrize(
    "text",
    [
        "--api-key SECRETVALUE1 --port 1",
        "--api-key=SECRETVALUE1",
        '{"api_key": ["SECRETVALUE1", "b"], "x": 1}',
        "api_key = 'SECRETVALUE1'",
        "HF_TOKEN=SECRETVALUE1 trident serve",
        "Authorization: Bearer SECRETVALUE1",
        "authorization: Basic SECRETVALUE1",
        "password: SECRETVALUE1",
        "http://user:SECRETVALUE1@proxy:3128/",
        "token hf_SECRETVALUE1SECRETVALUE1",
        "ghp_SECRETVALUE1SECRETVALUE1SECRET",
        "eyJSECRETVALUE1.eyJSECRETVALUE1.SECRETVALUE1",
        "-----BEGIN PRIVATE KEY-----\nSECRETVALUE1\n-----END PRIVATE KEY-----",
    ],
)
def test_secret_is_hidden(text: str) -> None:
    shared = Redactor().text(text)
    assert "SECRETVALUE1" not in shared
    assert HIDDEN in shared


@pytest.mark.parametrize(
    "text",
    [
        "max_tokens: 16, num_tokens=3, prompt tokens 7",
        '"max_num_batched_tokens": 2048, "tokenizer": "x", "token_ids": null',
        "the key frame of a key, secret garden",
        'api_key_file = "/etc/trident/keys"',
        "https://huggingface.co/Qwen/Qwen3-0.6B",
    ],
)
def test_what_helps_is_kept(text: str) -> None:
    assert Redactor().text(text) == text


def test_bundle_holds_what_helps_and_no_secret(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret_token_value")
    monkeypatch.setenv("HOME", str(installation.root))
    (installation.root / "keys").write_text(f"# ours\n{SECRETS[1]}\n")
    key_file = installation.root / "keys"
    installation.configure(f'[security]\napi_key = ["{SECRETS[0]}"]\napi_key_file = "{key_file}"\n')
    config = load()
    installation.log("engine", f"asked with {SECRETS[0]} and hf_very_secret_token_value\nmax_model_len 12\n")
    installation.log("gateway", "x" * (3 << 20) + f"\nkey {SECRETS[1]}\n")
    (installation.run_dir / "config.json").write_text(config.model_dump_json())
    (installation.run_dir / "told.json").write_text("what was typed")
    patient = Patient(installation.data_dir, config, site=installation.site)
    path = installation.root / "bundle.tgz"
    names = bundle.write(path, patient, list(examination.examine(patient)), facts(patient))
    assert path.stat().st_mode & 0o077 == 0
    assert {"report.json", "environment.json", "run/config.json", "run/logs/engine.log"} <= set(names)
    assert not any("told.json" in name for name in names)
    with tarfile.open(path) as archive:
        texts = {one.name: archive.extractfile(one).read().decode() for one in archive.getmembers()}  # type: ignore[union-attr]
    whole = "\n".join(texts.values())
    for secret in (*SECRETS, "hf_very_secret_token_value"):
        assert secret not in whole
    assert "max_model_len 12" in whole
    assert os.fspath(installation.root) not in whole
    assert len(texts["trident-doctor/run/logs/gateway.log"]) <= bundle.LOG_BYTES
    assert json.loads(texts["trident-doctor/environment.json"])["variables"]["HF_TOKEN"] == HIDDEN


def test_facts_tell_no_secret(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIDENT_API_KEY", SECRETS[0])
    told = facts(Patient(Path(installation.data_dir), None, None))
    assert SECRETS[0] not in json.dumps(told)
    assert told["variables"]["TRIDENT_API_KEY"] == "(set)"
