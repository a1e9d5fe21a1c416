# Completion of sluice's command line in bash (in zsh after `autoload bashcompinit && bashcompinit`). Installed to where
# the bash-completion package looks for it; without that package, source it from ~/.bashrc.
_sluice_completion() {
  local IFS=$'\n'
  COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD _SLUICE_COMPLETION=1 "$1" 2>/dev/null))
}
complete -o nospace -F _sluice_completion sluice
