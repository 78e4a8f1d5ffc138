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

# Add the names of kind $1 that start with $2 to `names`. They are in the nearest .asst/names at or above this folder. A folder
# with a tasks.py and a pyproject.toml is where the search ends: that project has no names yet.
_asst_read_names() {
  local folder line
  folder=$(pwd -P) || return
  until [ -f "$folder/.asst/names" ] && [ -r "$folder/.asst/names" ]; do
    [ -f "$folder/tasks.py" ] && [ -f "$folder/pyproject.toml" ] && return
    [ -n "$folder" ] || return
    folder=${folder%/*}
  done
  while read -r line; do
    case $line in
      *[!a-z0-9_.\ -]*) ;; # no name: nothing else may come onto the command line
      "$1 $2"*) names+=("${line#* }") ;;
    esac
  done < "$folder/.asst/names"
}

# Set `positional` and `flags` to the parameters of a task that take a value, each with its kind.
_asst_set_parameters() {
  case $1 in
@parameters@
    *) positional= flags= ;;
  esac
}
