# Completion for bash (3.2 and later) of the commands inv and invoke.

@functions@

_asst_complete() {
  local kind prefix value file name word head breaks joined= i last=0
  local -a words
  COMPREPLY=() words=('')
  # Bash 4 and later take words apart at = and :, bash 3.2 does not: put them together.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    if [ "$i" -eq "$COMP_CWORD" ]; then
      case $word in
        *"$2") ;;
        *) word=$2 ;; # the cursor is within it
      esac
      case ${COMP_LINE:0:COMP_POINT} in *[[:space:]]) word= joined= ;; esac
      word=${word//[\"\']/}
    fi
    case $word in
      '' | *[!=:]*) breaks= ;;
      *) breaks=1 ;;
    esac
    [ "$last" -gt 0 ] && [ -n "$joined$breaks" ] || last=$((last + 1))
    joined=$breaks
    words[last]=${words[last]-}$word
  done
  _asst_find_kind "${words[last]}" "${words[@]:1:last-1}"
  head=${words[last]%"$2"} # bash replaces $2 alone
  case $kind in
    assistant | environment)
      _asst_find_names
      [ -z "$file" ] || { while read -r name; do
        case $name in "$kind $value"*) name=${name#* } ;; *) continue ;; esac
        case $name in
          [!a-z0-9]* | *[!a-z0-9_.-]*) continue ;; # no name: nothing else may come onto the command line
        esac
        name=$prefix$name
        COMPREPLY+=("${name#"$head"}")
      done < "$file"; } 2> /dev/null # a command may be writing it anew
      compopt +o default 2> /dev/null ;; # no file is meant; bash 3.2 lacks compopt
    text) compopt +o default 2> /dev/null ;;
    file) ;;
    *)
      while read -r name; do
        case $name in "${words[last]}"*) COMPREPLY+=("${name#"$head"}") ;; esac
      done < <("$1" --complete -- inv "${words[@]:1:last}" < /dev/null 2> /dev/null) ;;
  esac
  return 0
}
complete -o default -F _asst_complete inv invoke
