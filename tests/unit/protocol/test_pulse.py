from __future__ import annotations

from dataclasses import dataclass

import pytest

from trident.protocol.pulse import LATER_STEPS, LOOK_S, LOSS_S, Pulse
from trident.protocol.vital_signs import VitalSigns

TIMEOUT_S = 60.0


@dataclass
class Patient:
    """An unanswered question, looked at with a clock of its own."""

    pulse: Pulse
    now_s: float = 0.0
    cpu_s: float = 100.0

    def look(
        self,
        *,
        for_s: float,
        cpu_share: float = 0.0,
        is_runnable: bool = False,
        is_stopped: bool = False,
        is_on_gpu: bool = False,
        later_steps: int = 0,
        every_s: float = LOOK_S,
    ) -> float | None:
        """After how many seconds it became suspicious."""
        begun_s = self.now_s
        while self.now_s < begun_s + for_s:
            self.now_s += every_s
            self.cpu_s += cpu_share * every_s
            self.pulse.look(self.now_s, VitalSigns(self.cpu_s, is_runnable, is_stopped, is_on_gpu), later_steps)
            if self.pulse.suspicion:
                return self.now_s - begun_s
        return None


@pytest.fixture
def patient() -> Patient:
    return Patient(Pulse(0.0, TIMEOUT_S))


@pytest.mark.parametrize("cpu_share", [1.0, 8.0, 0.3])
def test_long_step_is_never_suspicious(patient: Patient, cpu_share: float) -> None:
    assert patient.look(for_s=TIMEOUT_S - 1, cpu_share=cpu_share) is None
    assert patient.pulse.loss is None


def test_engine_that_gets_no_core_is_not_suspicious(patient: Patient) -> None:
    assert patient.look(for_s=30, cpu_share=0.01, is_runnable=True) is None


def test_engine_that_waits_for_its_gpu_uses_no_core_and_is_not_suspicious(patient: Patient) -> None:
    assert patient.look(for_s=4, is_on_gpu=True) is None


def test_step_that_the_gpu_driver_shows_late_is_not_suspicious(patient: Patient) -> None:
    assert patient.look(for_s=0.2) is None
    assert patient.look(for_s=4, is_on_gpu=True) is None


def test_engine_that_is_busy_for_ever_is_lost_at_last(patient: Patient) -> None:
    patient.look(for_s=TIMEOUT_S + 1, cpu_share=1)
    assert patient.pulse.loss == "the engine has not answered for 60 s"


def test_stopped_process_is_suspicious_at_the_second_look(patient: Patient) -> None:
    assert patient.look(for_s=5, is_stopped=True) == pytest.approx(2 * LOOK_S)
    assert patient.pulse.suspicion == "the engine's process is stopped"


def test_moment_of_stopping_is_not_suspicious(patient: Patient) -> None:
    patient.look(for_s=LOOK_S, is_stopped=True)
    assert patient.look(for_s=10, cpu_share=1) is None


def test_idle_engine_is_suspicious_within_a_second(patient: Patient) -> None:
    suspicious_s = patient.look(for_s=5)
    assert suspicious_s is not None and 0.4 < suspicious_s < 0.8
    assert patient.pulse.suspicion == "the engine answers nothing and does nothing"


def test_engine_that_falls_idle_after_a_long_step_is_suspicious_too(patient: Patient) -> None:
    patient.look(for_s=10, cpu_share=4)
    suspicious_s = patient.look(for_s=5)
    assert suspicious_s is not None and suspicious_s < 1


def test_engine_that_makes_steps_and_does_not_answer_is_suspicious(patient: Patient) -> None:
    assert patient.look(for_s=1.3, cpu_share=1, later_steps=LATER_STEPS) is None
    assert patient.look(for_s=0.4, cpu_share=1, later_steps=LATER_STEPS) is not None
    assert str(LATER_STEPS) in (patient.pulse.suspicion or "")


def test_few_later_steps_were_on_their_way(patient: Patient) -> None:
    assert patient.look(for_s=5, cpu_share=1, later_steps=2) is None


def test_host_that_slept_itself_suspects_nobody(patient: Patient) -> None:
    patient.pulse.look(LOOK_S, VitalSigns(100, False, False), 0)
    patient.pulse.look(30, VitalSigns(100, False, False), 0)
    assert patient.pulse.suspicion is None and patient.pulse.loss is None


def test_suspicious_engine_is_lost_before_five_seconds(patient: Patient) -> None:
    suspicious_s = patient.look(for_s=5)
    assert suspicious_s is not None and patient.pulse.loss is None
    while patient.pulse.loss is None:
        patient.look(for_s=LOOK_S / 2)
    assert patient.now_s < suspicious_s + LOSS_S + 2 * LOOK_S < 4.5


def test_suspicion_stays_but_an_engine_that_works_again_is_not_given_up(patient: Patient) -> None:
    patient.look(for_s=5)
    for _ in range(100):
        patient.look(for_s=LOOK_S / 2, cpu_share=1)
    assert patient.pulse.suspicion is not None and patient.pulse.loss is None
