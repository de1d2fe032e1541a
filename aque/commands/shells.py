"""Own the part of completion that the shells run: a function that asks aque, for all commands."""

from __future__ import annotations

_BASH = r"""
_aque() {
    local line value text
    local -a values=() texts=()
    COMPREPLY=()
    while IFS= read -r line; do  # a tab in IFS would be taken from the begin
        case $line in
            $'\t'file) _aque_files default -f "$2"; return ;;
            $'\t'directory) _aque_files dirnames -d "$2"; return ;;
            $'\tcommand\t'*) _aque_command "${line##*$'\t'}" "$2"; return ;;
        esac
        value=${line%%$'\t'*} text=${line#*$'\t'}
        values+=("$value") texts+=("$text")
    done < <(aque --complete bash "$COMP_CWORD" "${COMP_WORDS[@]}" 2>/dev/null)
    if [[ ${#values[@]} == 1 && ${values[0]} == *= ]]; then compopt -o nospace 2>/dev/null; fi
    if [[ ${#values[@]} -gt 1 && $COMP_TYPE == 63 ]]; then  # only shown, not put in
        local n
        for n in "${!values[@]}"; do
            COMPREPLY+=("${values[n]}${texts[n]:+  (${texts[n]})}")
        done
    else
        COMPREPLY=("${values[@]}")
    fi
}
_aque_command() {
    if declare -F _command_offset >/dev/null; then _command_offset "$1"; return; fi
    if [[ $1 == "$COMP_CWORD" && $2 != */* ]]; then
        COMPREPLY=($(compgen -c -- "$2"))
    else
        _aque_files default -f "$2"
    fi
}
_aque_files() {
    local IFS=$'\n'
    compopt -o "$1" 2>/dev/null || COMPREPLY=($(compgen "$2" -- "$3"))  # bash 3 has no compopt
}
complete -o nosort -F _aque NAMES 2>/dev/null || complete -F _aque NAMES
"""

_ZSH = r"""
(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }
_aque() {
    local -a lines values texts
    local line n
    lines=("${(@f)$(aque --complete zsh $((CURRENT - 1)) "${(@Q)words}" 2>/dev/null)}")
    case $lines[1] in
        $'\t'file) compset -P 1 '--*='; _files; return ;;
        $'\t'directory) compset -P 1 '--*='; _files -/; return ;;
        $'\tcommand\t'*)
            n=${lines[1]##*$'\t'}
            shift $n words
            (( CURRENT -= n ))
            _normal
            return ;;
    esac
    for line in $lines; do
        values+=("${line%%$'\t'*}")
        texts+=("${${line%$'\t'}/$'\t'/  -- }")
    done
    if [[ ${#values} == 1 && $values[1] == *= ]]; then
        compadd -S '' -a values
    else
        compadd -V aque -l -d texts -a values
    fi
}
compdef _aque NAMES
"""

_FISH = r"""
function __aque_complete
    set -l words (commandline -opc)
    set -l begin (commandline -ct)
    set -l lines (aque --complete fish (count $words) $words "$begin" 2>/dev/null)
    switch "$lines[1]"
        case \tfile
            set -l option (string match -r -- '^--[^=]*=' "$begin")
            set -l path (string replace -r -- '^--[^=]*=' '' "$begin")
            __fish_complete_path "$path" | string replace -r -- '^' "$option"
        case \tdirectory
            __fish_complete_directories "$begin"
        case \tcommand\t\*
            set -l n (math (string split \t -- $lines[1])[-1] + 1)
            set -l rest
            if test $n -le (count $words)
                set rest (string escape -- $words[$n..-1])
            end
            complete -C (string join ' ' -- $rest "$begin")
        case '*'
            printf '%s\n' $lines
    end
end
for name in NAMES
    complete -c $name -f -a '(__aque_complete)'
end
"""

SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(shell: str, names: list[str]) -> str:
    """Return what a shell is to run once, so that these commands are completed in it."""
    return SCRIPTS[shell].replace("NAMES", " ".join(names)).lstrip("\n")
