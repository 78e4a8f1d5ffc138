# Completion for fish of the commands inv and invoke.

# Print the parameters of a task that take a value, each with its kind.
function __asst_parameters
    switch $argv[1]
@parameters@
    end
end

# Print what the word at the cursor is (assistant, environment, file or text; an empty line where Invoke knows), and the part
# of it that stands before the value.
function __asst_find_kind
    set -l kind ''
    set -l prefix ''
    set -l expected ''
    set -l positional
    set -l flags
    set -l words (commandline -opc)
    for word in $words[2..-1]
        if test -n "$expected"
            set expected ''
        else if string match -q -- '-*' $word
            set -l flag (string split -m 1 = -- $word)
            for each in $flags
                set -l parts (string split : -- $each)
                test $parts[1] = $flag[1]; or continue
                set positional (string match -v -- (string sub -s 3 -- $each) $positional)
                test (count $flag) -gt 1; or set expected $parts[2]
            end
        else if test (count $positional) -gt 0
            set -e positional[1]
        else
            set -l parameters (__asst_parameters $word)
            set positional (string match -v -- '--*' $parameters)
            set flags (string match -- '--*' $parameters)
        end
    end
    set -l current (commandline -ct)
    if test -n "$expected"
        set kind $expected
    else if string match -q -- '-*' $current
        set -l flag (string split -m 1 = -- $current)
        for each in $flags
            set -l parts (string split : -- $each)
            if test (count $flag) -gt 1 -a $parts[1] = $flag[1]
                set kind $parts[2]
                set prefix $flag[1]=
                set current $flag[2]
            end
        end
    else if test (count $positional) -gt 0
        set kind (string split : -- $positional[1])[2]
    end
    if test $kind = record # NAME or NAME:ENV
        set kind assistant
        if string match -q '*:*' -- $current
            set kind environment
            set prefix $prefix(string split : -- $current)[1]:
        end
    end
    printf '%s\n' "$kind" "$prefix"
end

# Print the names of a kind. They are in the nearest .asst/names at or above this folder. A folder with a tasks.py and a
# pyproject.toml is where the search ends: that project has no names yet.
function __asst_names
    set -l folder (pwd -P)
    while not test -f $folder/.asst/names -a -r $folder/.asst/names
        test -f $folder/tasks.py -a -f $folder/pyproject.toml; and return
        test -n "$folder"; or return
        set folder (string replace -r '/[^/]*$' '' -- $folder)
    end
    string replace -rf "^$argv[1] ([a-z0-9][a-z0-9_.-]*)\$" '$1' < $folder/.asst/names
end

function __asst_complete
    set -l found (__asst_find_kind)
    switch $found[1]
        case assistant environment
            printf '%s\n' $found[2](__asst_names $found[1])
        case ''
            set -l words (commandline -opc)
            command $words[1] --complete -- inv (string escape -- $words[2..-1]) (commandline -ct) </dev/null 2>/dev/null
    end
end

for name in inv invoke
    complete -c $name -e
    complete -c $name -f -a '(__asst_complete)'
    complete -c $name -n 'test (__asst_find_kind)[1] = file' -F
end
