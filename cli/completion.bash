# Completion of sluice's command line in bash. Installed to where the bash-completion package looks for it; without that package,
# source it from ~/.bashrc.
_sluice_completion() {
  local IFS=$'\n' line word width=0 kind=1
  # Where the words are only listed (a second Tab) their descriptions are, too: nothing of these is put in.
  case ${COMP_TYPE:-9} in 63 | 33 | 64) kind=described ;; esac
  COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _SLUICE_COMPLETION=$kind "$1" 2>/dev/null))
  [[ $kind = described ]] || return 0
  if ((${#COMPREPLY[@]} < 2)); then
    COMPREPLY=("${COMPREPLY[@]%%$'\t'*}")
    return 0
  fi
  for line in "${COMPREPLY[@]}"; do
    word=${line%%$'\t'*}
    ((${#word} <= width)) || width=${#word}
  done
  local -i i room=$((${COLUMNS:-80} - width - 4))
  for i in "${!COMPREPLY[@]}"; do
    line=${COMPREPLY[i]} word=${COMPREPLY[i]%%$'\t'*}
    if [[ $line = *$'\t'* ]] && ((room > 10)); then
      line=${line#*$'\t'}
      ((${#line} <= room)) || line=${line:0:room - 3}...
      printf -v 'COMPREPLY[i]' "%-${width}s (%s)" "$word" "$line"
    else
      COMPREPLY[i]=$word
    fi
  done
}
complete -o nospace -F _sluice_completion sluice
