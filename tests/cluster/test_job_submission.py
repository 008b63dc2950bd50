"""Job submission: errors that occur without a cluster."""

from pathlib import Path

import pytest

from oasis_ray.cluster.job_submission import submit
from oasis_ray.errors import JobError, RunError
from tests.support.checkout import ROOT
from tests.support.jobs import write_job


def test_a_cluster_that_does_not_answer_is_reported(tmp_path: Path) -> None:
    with pytest.raises(RunError) as error:
        submit(write_job(tmp_path), [], "http://127.0.0.1:1", tmp_path)
    assert str(error.value).startswith("no cluster answers at http://127.0.0.1:1: ")
    assert error.value.exit_code == 1


def test_a_job_file_outside_the_uploaded_folder_is_rejected(tmp_path: Path) -> None:
    job = write_job(tmp_path)
    with pytest.raises(JobError) as error:
        submit(job, [], "http://127.0.0.1:1", ROOT)
    assert error.value.args[0] == (f"{job} is not in {ROOT}, the folder that is uploaded (--working-dir)",)
    assert error.value.exit_code == 2
