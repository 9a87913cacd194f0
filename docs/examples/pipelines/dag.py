"""The pipeline as a job of Airflow, which needs `apache-airflow` and nothing of ours but the command."""

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG("tumours", schedule="0 4 * * *", catchup=False, default_args={"retries": 2}):
    BashOperator(task_id="nightly", bash_command="mlops-kit run nightly.py:nightly --C 0.5", cwd="/srv/jobs")
