# For bash and zsh.

# Set `kind` to what the word $1 after the words $2... is: assistant, environment, file or text, or nothing where Invoke knows.
# `value` is then the part of $1 that is completed, `prefix` the part before it.
_asst_find_kind() {
  local current=$1 expected= positional= flags= found word
  kind= prefix= value=$current
  shift
  for word in "$@"; do
    if [ -n "$expected" ]; then
      expected=
      continue
    fi
    case $word in
      -*)
        found=${flags#*" ${word%%=*}:"}
        [ "$found" = "$flags" ] && continue
        found=${found%% *}
        case $word in
          *=*) word=${word%%=*} ;;
          *) expected=$found ;;
        esac
        positional=${positional/${word#--}:$found /} ;;
      *)
        if [ -n "$positional" ]; then
          positional=${positional#* }
        else
          _asst_set_parameters "$word"
        fi ;;
    esac
  done
  if [ -n "$expected" ]; then
    kind=$expected
  else
    case $current in
      -*=*)
        found=${flags#*" ${current%%=*}:"}
        [ "$found" = "$flags" ] || kind=${found%% *} prefix=${current%%=*}= value=${current#*=} ;;
      -*) ;;
      *)
        found=${positional#*:}
        kind=${found%% *} ;;
    esac
  fi
  case $kind:$value in # a record is NAME or NAME:ENV
    record:*:*) kind=environment prefix=$prefix${value%%:*}: value=${value#*:} ;;
    record:*) kind=assistant ;;
  esac
}

# Set `file` to the nearest .asst/names at or above this folder. A folder with a tasks.py and a pyproject.toml is where the search
# ends: the names of that project are not written yet.
_asst_find_names() {
  local folder
  file=
  folder=$(pwd -P) || return
  until [ -f "$folder/.asst/names" ] && [ -r "$folder/.asst/names" ]; do
    [ -f "$folder/tasks.py" ] && [ -f "$folder/pyproject.toml" ] && return
    [ -n "$folder" ] || return
    folder=${folder%/*}
  done
  file=$folder/.asst/names
}

# Set `positional` and `flags` to the parameters of a task that take a value, each with its kind.
_asst_set_parameters() {
  case $1 in
@parameters@
    *) positional= flags= ;;
  esac
}
