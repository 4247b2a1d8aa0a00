"""A study's trials, of which only those that changed are read again.

Optuna keeps trials that are finished and reads all others anew, each time it is asked for one or any of them, as a
hundred objects apiece: a tenth of a second or more where hundreds wait at rungs. Here the rows themselves are looked
at first, as plain text.
"""

from optuna.storages import RDBStorage

# Optuna has no such thing by a public name; the tests compare what is read with what it reads itself
from optuna.storages._cached_storage import _CachedStorage, _StudyInfo
from sqlalchemy import text

_OPEN = "study_id = :study AND state IN ('RUNNING', 'WAITING')"
_STATES = f"SELECT trial_id, state, '' FROM trials WHERE {_OPEN} OR (study_id = :study AND trial_id > :last)"
_CONTENT = "SELECT trial_id, {name}, {value} FROM {table} WHERE trial_id IN (SELECT trial_id FROM trials WHERE {open})"
_ROWS = (
    _STATES,
    _CONTENT.format(table="trial_user_attributes", name="key", value="value_json", open=_OPEN),
    _CONTENT.format(table="trial_system_attributes", name="key", value="value_json", open=_OPEN),
    _CONTENT.format(table="trial_params", name="param_name", value="''", open=_OPEN),  # never given another value
)


class Reading(_CachedStorage):
    """What a database holds, for searches, which report no intermediate values.

    Args:
        database: Optuna's view of it.
    """

    def __init__(self, database: RDBStorage):
        super().__init__(database)
        self._rows: dict[int, set[tuple[int, str, str]]] = {}  # of trials that were open when they were read last

    def _read_trials_from_remote_storage(self, study_id: int) -> None:
        with self._lock:
            known = self._studies.setdefault(study_id, _StudyInfo()).trials.values()
            where = {"study": study_id, "last": max((trial._trial_id for trial in known), default=-1)}
            rows: dict[int, set[tuple[int, str, str]]] = {}
            with self._backend.engine.connect() as connection:
                for kind, query in enumerate(_ROWS):
                    for number, name, value in connection.execute(text(query), where):
                        rows.setdefault(number, set()).add((kind, name, value))
            ended = {trial._trial_id for trial in known if not trial.state.is_finished()} - rows.keys()
            changed = {number for number, content in rows.items() if self._rows.get(number) != content} | ended
            # if others write meanwhile, what is read now is newer than the rows, and is read once more the next time
            self._rows = rows
            if changed:
                above = max(changed | {where["last"]})
                self._add_trials_to_cache(study_id, self._backend._get_trials(study_id, None, changed, above))
