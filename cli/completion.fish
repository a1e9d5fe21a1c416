# Completion of sluice's command line in fish. Installed to where fish looks for it.
function __sluice_complete
    set -l before (commandline -opc)
    set -l token (commandline -ct)
    # The value of an option in the same word is completed by itself, but fish puts in whole words.
    set -l front (string match -r -- '^--[^=]+=' $token; or echo)
    set -lx COMP_WORDS (string join ' ' -- (string escape -- $before $token))
    set -lx COMP_CWORD (count $before)
    set -lx _SLUICE_COMPLETION described
    for line in ($before[1] 2>/dev/null)
        set -l parts (string split -m 1 \t -- $line)
        # A word that is final ends in a space, which fish adds itself.
        set parts[1] $front(string replace -r ' $' '' -- $parts[1])
        string join \t -- $parts
    end
end
complete -c sluice -f -a '(__sluice_complete)'
