#compdef inv invoke
# Completion for zsh of the commands inv and invoke.

@functions@

_asst_complete() {
  emulate -L zsh
  setopt extended_glob
  local kind prefix value file
  local -a names
  _asst_find_kind "${(Q)PREFIX}" "${(@Q)words[2,CURRENT-1]}"
  case $kind in
    assistant | environment)
      _asst_find_names
      [ -z "$file" ] || names=("${(@M)${(f)"$(< "$file")"}:#$kind [a-z0-9][a-z0-9_.-]#}")
      names=("${(@)names#* }")
      compset -P "${(b)prefix}"
      compadd -a names ;;
    text) return 1 ;;
    file)
      compset -P "${(b)prefix}"
      _files ;;
    *)
      names=(${(f)"$("$words[1]" --complete -- inv "${(@)words[2,CURRENT-1]}" "$PREFIX" < /dev/null 2> /dev/null)"})
      compadd -a names || _files ;;
  esac
}
if [ "${funcstack[1]-}" = _inv ]; then # a file of this name in fpath
  _asst_complete
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _asst_complete inv invoke
fi
