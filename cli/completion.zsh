#compdef sluice
# Completion of sluice's command line in zsh. Installed as _sluice to where zsh looks for such functions.
_sluice() {
  local line word
  local -a given final open
  given=("${(@)words[1,CURRENT-1]}" "$PREFIX")
  # The value of an option in the same word is completed by itself.
  [[ $PREFIX == --*=* ]] && compset -P '*='
  for line in "${(@f)$(COMP_WORDS="${given[*]}" COMP_CWORD=$((CURRENT - 1)) _SLUICE_COMPLETION=described "$words[1]" 2>/dev/null)}"; do
    [[ -n $line ]] || continue
    word=${line%%$'\t'*}
    # _describe() takes "WORD:DESCRIPTION".
    [[ $line == *$'\t'* ]] && line=:${line#*$'\t'} || line=
    if [[ $word == *' ' ]]; then
      final+=("${${word% }//:/\\:}$line")
    else
      open+=("${word//:/\\:}$line")
    fi
  done
  local -i found=1
  (($#final)) && _describe -t words 'word' final && found=0
  (($#open)) && _describe -t words 'word' open -S '' && found=0
  return found
}
# Installed, the file is the function's body; it may be sourced as well.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then
  _sluice "$@"
else
  compdef _sluice sluice
fi
