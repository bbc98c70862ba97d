"""The differences between the Airflow versions that this provider supports, all in one place."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from airflow import __version__ as _airflow_version

_MAJOR, _MINOR = (int(part) for part in _airflow_version.split(".")[:2])

AIRFLOW_V_3_0_PLUS = (_MAJOR, _MINOR) >= (3, 0)
AIRFLOW_V_3_1_PLUS = (_MAJOR, _MINOR) >= (3, 1)
AIRFLOW_V_3_2_PLUS = (_MAJOR, _MINOR) >= (3, 2)
AIRFLOW_V_3_3_PLUS = (_MAJOR, _MINOR) >= (3, 3)

#: Whether ``ti.xcom_pull`` is answered in the DAG processor: 3.0 never does (mended in 3.1.0, apache/airflow#55542).
XCOMS_IN_DAG_PROCESSOR = AIRFLOW_V_3_1_PLUS or not AIRFLOW_V_3_0_PLUS
#: Whether Airflow tells a trigger by ``on_kill`` that its task is over; before 3.3 it only cancels the trigger's task.
TRIGGERS_HAVE_KILL_HOOK = AIRFLOW_V_3_3_PLUS
#: Whether there are retry policies (new in 3.3).
HAS_RETRY_POLICIES = AIRFLOW_V_3_3_PLUS

T = TypeVar("T")

_watching: list[Callable[[], None]] = []


def in_task_process(context: Mapping[str, Any]) -> bool:
    """
    Tell whether a failure or retry callback runs in the process that ran the task.

    There it may ask Airflow anything. In the DAG processor (3.x) a question that is not in its protocol is never
    answered and hangs it (seen on 3.3.2); only the task process puts ``exception`` into the context. 2.11 always
    puts it there, but also always has the database.

    :param context: the callback's context.
    """
    # dag.test() of 3.0 to 3.2 leaves it out.
    return "exception" in context or in_dag_test()


def in_own_task_process(context: Mapping[str, Any]) -> bool:
    """
    Tell whether a callback surely runs in the process that ran the task, which 2.11 does not show.

    :param context: the callback's context.
    """
    return AIRFLOW_V_3_0_PLUS and in_task_process(context)


def can_read_xcom(context: Mapping[str, Any]) -> bool:
    """
    Tell whether ``ti.xcom_pull`` is answered in this callback.

    :param context: the callback's context.
    """
    return XCOMS_IN_DAG_PROCESSOR or in_task_process(context)


def running_operator(context: Mapping[str, Any]) -> Any:
    """
    Return the operator object whose ``on_kill`` and callbacks Airflow calls for the running try.

    That of the task instance. 3.0 executes a copy of the one that it has put into the context.

    :param context: the context of a running task.
    """
    return getattr(context["ti"], "task", None) or context["task"]


def task_state_store(context: Mapping[str, Any]) -> Any | None:
    """
    Return the store that outlives a try (Airflow 3.3+, AIP-103), ``None`` where there is none.

    :param context: the context of a running task; must not be used in a callback of another process.
    """
    return context.get("task_state_store")


def begun_in_another_process(context: Mapping[str, Any]) -> bool:
    """
    Tell whether the try of this context has been deferred or rescheduled before, so that another process began it.

    :param context: the context of a running task.
    """
    ti = context["ti"]
    if context.get("task_reschedule_count"):
        return True
    if not AIRFLOW_V_3_0_PLUS:
        return bool(ti.next_method)
    from_server = getattr(ti, "_ti_context_from_server", None)
    # Where Airflow does not tell, yes is the answer that only costs a question.
    return from_server is None or bool(getattr(from_server, "next_method", True))


def with_try(context: Mapping[str, Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """
    Return the arguments that a deferred task is resumed with; :func:`without_try` tells of which try they are.

    3.0 keeps them for the next try, and resumes that with the end of the one before (mended in 3.1.0).

    :param context: the context of the task that is deferred.
    :param kwargs: the arguments.
    """
    keeps_them = AIRFLOW_V_3_0_PLUS and not AIRFLOW_V_3_1_PLUS
    return {**kwargs, "deferred_in_try": context["ti"].try_number} if keeps_them else dict(kwargs)


def without_try(context: Mapping[str, Any], kwargs: Mapping[str, Any] | None) -> tuple[dict[str, Any], bool]:
    """
    Return the arguments as they were given to :func:`with_try`, and whether they are of this try.

    :param context: the context of the task that is resumed.
    :param kwargs: what it is resumed with.
    """
    given = dict(kwargs or {})
    this_try = context["ti"].try_number
    return given, given.pop("deferred_in_try", this_try) == this_try


def airflow_stats() -> Any:
    """
    Return Airflow's ``Stats`` as this process has set it up.

    Since 3.2 there are two of them: one is set up in the processes of tasks, the other everywhere else.
    """
    from airflow.providers.common.compat.sdk import Stats

    module = sys.modules[Stats.__module__]
    if not AIRFLOW_V_3_2_PLUS or getattr(module, "_factory", None) or getattr(Stats, "factory", None):
        return Stats
    from airflow.observability.stats import Stats as StatsOfCore

    return StatsOfCore


def only_this_process_has_run(ti: Any) -> bool:
    """
    Tell whether nobody but this process can have pushed an XCom of a task instance.

    :param ti: the task instance that runs in this process (Airflow 3), or the key of any.
    """
    return hasattr(ti, "_ti_context_from_server") and not begun_in_another_process({"ti": ti})


def watch_end_of_task(at_end: Callable[[], None]) -> None:
    """
    Have a function called when the task's process has come to its end in good order, whatever the state.

    Airflow calls listeners then, after the callbacks. A process that is killed does not come that far.

    :param at_end: what to call; the same function is registered once.
    """
    if at_end in _watching:
        return
    from airflow.providers.common.compat.sdk import get_listener_manager, hookimpl

    class Listener:
        _of_freddy = True

        @hookimpl
        def before_stopping(self, component: Any) -> None:
            at_end()

    _watching.append(at_end)
    get_listener_manager().add_listener(Listener())  # type: ignore[no-untyped-call]


def supervisor_pid() -> int | None:
    """
    Return the process id of the process that supervises this one on behalf of Airflow, if one does.

    With ``dag.test()`` nobody does, and the parent may be a shell that ends long before.
    """
    if not AIRFLOW_V_3_0_PLUS:
        # 2.11 sets it in the process that it forks off for a task, and nobody else does who runs one.
        return os.getppid() if os.environ.get("_AIRFLOW_PARSING_CONTEXT_TASK_ID") else None
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    comms = getattr(runner, "SUPERVISOR_COMMS", None)
    return os.getppid() if isinstance(getattr(comms, "socket", None), socket.socket) else None


def tells_end_of_task() -> bool:
    """
    Tell whether Airflow will call listeners at the end of this process (see :func:`watch_end_of_task`).

    2.11 does not with ``dag.test()`` and ``airflow tasks test``, where nobody supervises the process either.
    """
    return AIRFLOW_V_3_0_PLUS or supervisor_pid() is not None


def in_dag_test() -> bool:
    """
    Tell whether this process answers its own questions to Airflow, as ``dag.test()`` of Airflow 3 does it.

    It takes one at a time, and mixes up its tasks when a thread of another one still asks.
    """
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return hasattr(getattr(runner, "SUPERVISOR_COMMS", None), "supervisor")


async def run_in_thread(function: Callable[[], T]) -> T:
    """
    Call, from an event loop of a triggerer, a function that may ask Airflow something.

    Must be awaited in a task of its own: asgiref, which alone works on every version, drops the message by which
    Airflow 3.3+ tells a kill from a shutdown.

    :param function: what to call.
    """
    from asgiref.sync import sync_to_async

    result: T = await sync_to_async(function)()
    return result


def can_read_states_in_callback() -> bool:
    """Tell whether a callback in the DAG processor may ask for the states of tasks (3.3+; 2.11 reads the database)."""
    return AIRFLOW_V_3_3_PLUS or not AIRFLOW_V_3_0_PLUS


def states_of_run(dag_id: str, run_id: str) -> Mapping[str, Any]:
    """
    Read, in a triggerer or a callback, the states of all task instances of a run, by run id and then by task id.

    A mapped one is under ``<task id>_<map index>``. Asks Airflow and waits for the answer: not for an event loop.

    :param dag_id: the DAG.
    :param run_id: the run.
    """
    if AIRFLOW_V_3_0_PLUS:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        states: Mapping[str, Any] = RuntimeTaskInstance.get_task_states(dag_id=dag_id, run_ids=[run_id])
        return states
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session() as session:
        found = session.query(TaskInstance.task_id, TaskInstance.map_index, TaskInstance.state).filter(
            TaskInstance.dag_id == dag_id, TaskInstance.run_id == run_id
        )
        return {run_id: {(task if index < 0 else f"{task}_{index}"): state for task, index, state in found}}


def read_xcom_of(dag_id: str, run_id: str, task_id: str, map_index: int, key: str) -> Any:
    """
    Read, in a triggerer, an XCom of one task instance; ``None`` if there is none. Not for an event loop either.

    :param dag_id: the DAG.
    :param run_id: the run.
    :param task_id: the task.
    :param map_index: -1 for a task that is not mapped.
    :param key: the key.
    """
    from airflow.providers.common.compat.sdk import XCom

    return XCom.get_one(key=key, dag_id=dag_id, task_id=task_id, run_id=run_id, map_index=map_index)


def state_of_running_task(context: Mapping[str, Any]) -> str | None:
    """
    Ask Airflow, in the process of a running task, for the state that it holds the task to be in.

    :param context: the context of the task.
    :return: the state, ``None`` if Airflow does not say.
    """
    ti = context["ti"]
    if not AIRFLOW_V_3_0_PLUS:
        if ti.start_date is None:
            # Only dag.test() runs a task that it has not marked as running before.
            return None
        ti.refresh_from_db()
        return str(ti.state)
    name = ti.task_id if ti.map_index < 0 else f"{ti.task_id}_{ti.map_index}"
    mapped = {} if ti.map_index < 0 else {"map_index": ti.map_index}
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id], task_ids=[ti.task_id], **mapped)
    state = states.get(ti.run_id, {}).get(name)
    return None if state is None else str(getattr(state, "value", state))


def can_end_in_triggerer(task: Any, *operator_classes: type) -> bool:
    """
    Tell whether a deferred task may succeed in the triggerer: whether nothing is left to do in a worker.

    :param task: the operator.
    :param operator_classes: the classes of ours that it is one of; what is derived from them resumes in a worker.
    """
    # Below 3.3 a trigger cannot push XComs, and those of Airflow's own event arrive as JSON text.
    if not AIRFLOW_V_3_3_PLUS or type(task) not in operator_classes:
        return False
    hooks = (getattr(task, "_pre_execute_hook", None), getattr(task, "_post_execute_hook", None))
    return not (task.outlets or task.on_success_callback or any(hooks) or getattr(task, "returns_dag_result", False))


#: What templates may use that are rendered in the triggerer: everything that is at hand there. The rest asks Airflow,
#: and a question that the triggerer does not know (``ti.xcom_pull`` is one) is never answered (3.3.2).
_AT_HAND_IN_TRIGGERER = frozenset(
    {"dag_run", "data_interval_end", "data_interval_start", "ds", "ds_nodash", "logical_date", "macros", "params"}
    | {"run_id", "ts", "ts_nodash"}
)


def can_start_in_triggerer(task: Any, *operator_classes: type) -> bool:
    """
    Tell whether a task may be given to the triggerer without a worker before it (Airflow 3.3+ renders templates there).

    :param task: the operator.
    :param operator_classes: the classes of ours that it is one of; what is derived from them starts in a worker.
    """
    # Airflow's own limit for a task that starts so cannot tell execution_timeout from the sensor's timeout.
    in_worker = (task.execution_timeout, task.on_execute_callback, getattr(task, "_pre_execute_hook", None))
    if not AIRFLOW_V_3_3_PLUS or type(task) not in operator_classes or any(in_worker):
        return False
    return all(_is_rendered_in_triggerer(getattr(task, name)) for name in task.template_fields)


def _is_rendered_in_triggerer(value: Any) -> bool:
    if value is None or (isinstance(value, str) and "{" not in value):
        return True
    if not isinstance(value, str):
        return False
    import jinja2
    from jinja2 import meta

    try:
        used = meta.find_undeclared_variables(jinja2.Environment().parse(value))
    except jinja2.TemplateSyntaxError:
        return False
    return used <= _AT_HAND_IN_TRIGGERER


@functools.cache
def has_listeners() -> bool:
    """Tell whether a listener of somebody else may want to see tasks succeed: none is called in a triggerer."""
    from airflow.providers.common.compat.sdk import get_listener_manager

    found = get_listener_manager().pm.get_plugins()
    return any(not getattr(listener, "_of_freddy", False) for listener in found)


async def push_xcom_from_trigger(task_instance: Any, key: str, value: Any) -> None:
    """
    Push an XCom of the task that a trigger belongs to (Airflow 3.3+).

    The XComs of Airflow's own ``TaskSuccessEvent`` are encoded twice, so that a task that pulls them gets JSON text
    where it expects a dictionary (3.3.2).

    :param task_instance: the task instance of the trigger.
    :param key: the key.
    :param value: the value.
    :raises Exception: whatever Airflow raises.
    """
    from airflow.sdk.execution_time.xcom import XCom

    ti = task_instance
    where = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
    # What a downstream task that is expanded over the value asks for.
    length = len(value) if key == "return_value" and isinstance(value, Mapping) else None
    await XCom.aset(key=key, value=value, _mapped_length=length, **where)


def in_api_server() -> bool:
    """
    Tell whether this is a process that serves UI and REST API (Airflow 3), from its command line.

    What it has imported does not tell: ``dag.test()`` and the triggerer have parts of the same server inside.
    """
    return any(word == "api-server" or word.startswith("airflow.api_fastapi.main") for word in sys.argv)


def xcoms_in_database(dag_id: str, run_id: str, key: str, task_id: str | None, map_index: int) -> list[Any]:
    """
    Read XComs with a session of its own, which only Airflow's servers may: for the API server.

    :param dag_id: the DAG.
    :param run_id: the run.
    :param key: the key.
    :param task_id: the task; all by default, with all map indexes.
    :param map_index: the map index of the task.
    """
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        query = session.query(XComModel).filter(
            XComModel.dag_id == dag_id, XComModel.run_id == run_id, XComModel.key == key
        )
        if task_id is not None:
            query = query.filter(XComModel.task_id == task_id, XComModel.map_index == map_index)
        return [XComModel.deserialize_value(found) for found in query]
