# Completion of weft(1) for fish.
set -l commands run stacks top trace symbolize doctor version help

complete -c weft -f
complete -c weft -s h -l help -d 'Show help and exit'
complete -c weft -s V -l version -d 'Show the version and exit'
complete -c weft -n "not __fish_seen_subcommand_from $commands" -a "$commands"

complete -c weft -n '__fish_seen_subcommand_from run' -l procs -x -d 'Goroutines at the same time'
complete -c weft -n '__fish_seen_subcommand_from run' -l stack -x -d 'Stack of a goroutine'
complete -c weft -n '__fish_seen_subcommand_from run' -l schedtrace -x -d 'A line each so many ms'
complete -c weft -n '__fish_seen_subcommand_from run' -l detail -d 'With --schedtrace: all there is'
complete -c weft -n '__fish_seen_subcommand_from run' -l trace -r -F -d 'Write an execution trace'
complete -c weft -n '__fish_seen_subcommand_from run' -l lint -d 'Report likely mistakes'
complete -c weft -n '__fish_seen_subcommand_from run' -l http -r -F -d 'Serve the debug endpoint'
complete -c weft -n '__fish_seen_subcommand_from run' -x -a '(__fish_complete_subcommand)'

complete -c weft -n '__fish_seen_subcommand_from stacks' -l all -d 'Frames of the runtime, too'
complete -c weft -n '__fish_seen_subcommand_from stacks' -l blocked -x -d 'Only those that wait so long'
complete -c weft -n '__fish_seen_subcommand_from stacks top' -a '(__fish_complete_pids)'

complete -c weft -n '__fish_seen_subcommand_from top' -l delay -x -d 'Seconds between two looks'
complete -c weft -n '__fish_seen_subcommand_from top' -l once -d 'Look once'

complete -c weft -n '__fish_seen_subcommand_from trace' -a convert
complete -c weft -n '__fish_seen_subcommand_from trace' -F
complete -c weft -n '__fish_seen_subcommand_from trace' -l to -x -a 'chrome pprof' -d 'The form'
complete -c weft -n '__fish_seen_subcommand_from trace' -l only -x -a 'net sync syscall sched' -d 'Waits'
complete -c weft -n '__fish_seen_subcommand_from trace' -l output -r -F -d 'Where to'

complete -c weft -n '__fish_seen_subcommand_from symbolize' -F
complete -c weft -n '__fish_seen_subcommand_from symbolize' -l go -d 'For parsers of Go'
complete -c weft -n '__fish_seen_subcommand_from doctor' -l json -d 'As JSON'
complete -c weft -n '__fish_seen_subcommand_from doctor' -l color -x -a 'always never auto' -d 'When'
complete -c weft -n '__fish_seen_subcommand_from doctor' -l root -r -F -d 'Read /proc and /sys there'
complete -c weft -n '__fish_seen_subcommand_from help' -a "$commands"
