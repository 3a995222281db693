# Made from the command line itself, and printed by `reaper completion`; do not edit.
_reaper_profiles() {
    local file
    for file in "${XDG_CONFIG_HOME:-$HOME/.config}"/reaper/*.toml /etc/reaper/*.toml; do
        file="${file##*/}"
        case "$file" in reaper.toml | '*.toml') ;; *) printf '%s\n' "${file%.toml}" ;; esac
    done
}
_reaper() {
    local cur="${COMP_WORDS[COMP_CWORD]}" prev="" path="" word i
    COMPREPLY=()
    ((COMP_CWORD > 0)) && prev="${COMP_WORDS[COMP_CWORD - 1]}"
    for ((i = 1; i < COMP_CWORD; i++)); do
        word="${COMP_WORDS[i]}"
        case "$path/$word" in
            /run|/once|/exec|/add|/status|/list|/show|/outcomes|/audit|/sessions|/holds|/check|/health|/postpone|/cancel|/approve|/discard|/dead|/pause|/resume|/config|/notify|/completion|/systemd|/queue|/sandbox|/demo) path="$word" ;;
            dead/list|dead/retry|dead/purge) path="$path $word" ;;
            config/show|config/schema|config/init) path="$path $word" ;;
            notify/test) path="$path $word" ;;
            systemd/show) path="$path $word" ;;
            queue/init|queue/backup|queue/restore) path="$path $word" ;;
        esac
    done
    case "$path:$prev" in
        ":--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        ":--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        ":--concurrency") :; return ;;
        ":--queue") :; return ;;
        ":--base-url") :; return ;;
        ":--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "run:--on-term") COMPREPLY=($(compgen -W "drain reap" -- "$cur")); return ;;
        "run:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "run:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "run:--concurrency") :; return ;;
        "run:--queue") :; return ;;
        "run:--base-url") :; return ;;
        "run:--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "once:--for") :; return ;;
        "once:--wait") :; return ;;
        "once:--limit") :; return ;;
        "once:--metrics-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "once:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "once:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "once:--concurrency") :; return ;;
        "once:--queue") :; return ;;
        "once:--base-url") :; return ;;
        "once:--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "exec:--after") :; return ;;
        "exec:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "exec:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "exec:--concurrency") :; return ;;
        "exec:--queue") :; return ;;
        "exec:--base-url") :; return ;;
        "exec:--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "add:--from") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "add:--after") :; return ;;
        "add:--at") :; return ;;
        "add:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "add:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "add:--queue") :; return ;;
        "status:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "status:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "status:--queue") :; return ;;
        "list:--state") COMPREPLY=($(compgen -W "ready scheduled retrying in_flight dead" -- "$cur")); return ;;
        "list:--source") :; return ;;
        "list:--due-within") :; return ;;
        "list:--limit") :; return ;;
        "list:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "list:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "list:--queue") :; return ;;
        "show:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "show:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "show:--queue") :; return ;;
        "outcomes:--since") :; return ;;
        "outcomes:--outcome") COMPREPLY=($(compgen -W "stopped already_gone forbidden rejected exhausted protected cancelled" -- "$cur")); return ;;
        "outcomes:--limit") :; return ;;
        "outcomes:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "outcomes:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "outcomes:--queue") :; return ;;
        "audit:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "audit:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "audit:--queue") :; return ;;
        "sessions:--rule") COMPREPLY=($(compgen -W "expired overdue failed orphaned protected unclear starting ended live" -- "$cur")); return ;;
        "sessions:--owner") :; return ;;
        "sessions:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "sessions:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "sessions:--queue") :; return ;;
        "sessions:--base-url") :; return ;;
        "sessions:--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "holds:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "holds:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "holds:--queue") :; return ;;
        "check:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "check:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "check:--concurrency") :; return ;;
        "check:--queue") :; return ;;
        "check:--base-url") :; return ;;
        "check:--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "health:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "health:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "postpone:--after") :; return ;;
        "postpone:--at") :; return ;;
        "postpone:--reason") :; return ;;
        "postpone:--from") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "postpone:--source") :; return ;;
        "postpone:--state") COMPREPLY=($(compgen -W "ready scheduled retrying" -- "$cur")); return ;;
        "postpone:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "postpone:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "postpone:--queue") :; return ;;
        "cancel:--reason") :; return ;;
        "cancel:--from") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "cancel:--source") :; return ;;
        "cancel:--state") COMPREPLY=($(compgen -W "ready scheduled retrying in_flight" -- "$cur")); return ;;
        "cancel:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "cancel:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "cancel:--queue") :; return ;;
        "approve:--reason") :; return ;;
        "approve:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "approve:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "approve:--queue") :; return ;;
        "discard:--reason") :; return ;;
        "discard:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "discard:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "discard:--queue") :; return ;;
        "dead:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "dead:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "dead:--queue") :; return ;;
        "dead list:--outcome") COMPREPLY=($(compgen -W "forbidden rejected exhausted" -- "$cur")); return ;;
        "dead list:--source") :; return ;;
        "dead list:--since") :; return ;;
        "dead list:--limit") :; return ;;
        "dead list:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "dead list:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "dead list:--queue") :; return ;;
        "dead retry:--outcome") COMPREPLY=($(compgen -W "forbidden rejected exhausted" -- "$cur")); return ;;
        "dead retry:--source") :; return ;;
        "dead retry:--since") :; return ;;
        "dead retry:--reason") :; return ;;
        "dead retry:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "dead retry:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "dead retry:--queue") :; return ;;
        "dead purge:--outcome") COMPREPLY=($(compgen -W "forbidden rejected exhausted" -- "$cur")); return ;;
        "dead purge:--source") :; return ;;
        "dead purge:--since") :; return ;;
        "dead purge:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "dead purge:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "dead purge:--queue") :; return ;;
        "pause:--for") :; return ;;
        "pause:--reason") :; return ;;
        "pause:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "pause:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "pause:--queue") :; return ;;
        "resume:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "resume:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "resume:--queue") :; return ;;
        "config:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "config:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "config:--concurrency") :; return ;;
        "config:--queue") :; return ;;
        "config:--base-url") :; return ;;
        "config:--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "config show:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "config show:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "config show:--concurrency") :; return ;;
        "config show:--queue") :; return ;;
        "config show:--base-url") :; return ;;
        "config show:--token-file") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "config init:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "config init:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "notify:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "notify:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "notify test:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "notify test:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "queue:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "queue:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "queue:--queue") :; return ;;
        "queue init:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "queue init:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "queue init:--queue") :; return ;;
        "queue backup:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "queue backup:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "queue backup:--queue") :; return ;;
        "queue restore:--config") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "queue restore:--profile") COMPREPLY=($(compgen -W "$(_reaper_profiles)" -- "$cur")); return ;;
        "queue restore:--queue") :; return ;;
        "sandbox:--port") :; return ;;
        "sandbox:--token") :; return ;;
        "sandbox:--latency") :; return ;;
        "sandbox:--fail") :; return ;;
        "sandbox:--sessions") :; return ;;
        "sandbox:--seed") :; return ;;
        "sandbox:--log") COMPREPLY=($(compgen -f -- "$cur")); return ;;
        "demo:--sessions") :; return ;;
        "demo:--seed") :; return ;;
    esac
    case "$path" in
        "") COMPREPLY=($(compgen -W "run once exec add status list show outcomes audit sessions holds check health postpone cancel approve discard dead pause resume config notify completion systemd queue sandbox demo -h --help -V --version --config --profile --json -v --verbose -q --quiet --concurrency --queue --base-url --token-file" -- "$cur")) ;;
        "run") COMPREPLY=($(compgen -W "-h --help --on-term --config --profile --json -v --verbose -q --quiet --concurrency --queue --base-url --token-file" -- "$cur")) ;;
        "once") COMPREPLY=($(compgen -W "-h --help --for --wait --no-wait --limit --discover --metrics-file --dry-run --config --profile --json -v --verbose -q --quiet --concurrency --queue --base-url --token-file" -- "$cur") $(compgen -f -- "$cur")) ;;
        "exec") COMPREPLY=($(compgen -W "-h --help --after --config --profile --json -v --verbose -q --quiet --concurrency --queue --base-url --token-file" -- "$cur") $(compgen -f -- "$cur")) ;;
        "add") COMPREPLY=($(compgen -W "-h --help --from --after --at --again --or-postpone --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "status") COMPREPLY=($(compgen -W "-h --help --watch --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "list") COMPREPLY=($(compgen -W "-h --help --state --source --due-within --limit --invalid --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "show") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "outcomes") COMPREPLY=($(compgen -W "-h --help --since --outcome --limit --csv --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "audit") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "sessions") COMPREPLY=($(compgen -W "-h --help --rule --owner --would-stop --config --profile --json -v --verbose -q --quiet --queue --base-url --token-file" -- "$cur")) ;;
        "holds") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "check") COMPREPLY=($(compgen -W "-h --help --accept-target --accept-account --yes --config --profile --json -v --verbose -q --quiet --concurrency --queue --base-url --token-file" -- "$cur")) ;;
        "health") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet" -- "$cur")) ;;
        "postpone") COMPREPLY=($(compgen -W "-h --help --dry-run -y --yes --after --at --reason --from --source --state --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "cancel") COMPREPLY=($(compgen -W "-h --help --dry-run -y --yes --reason --from --source --state --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "approve") COMPREPLY=($(compgen -W "-h --help --reason --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "discard") COMPREPLY=($(compgen -W "-h --help --reason --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "dead") COMPREPLY=($(compgen -W "list retry purge -h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "dead list") COMPREPLY=($(compgen -W "-h --help --outcome --source --since --limit --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "dead retry") COMPREPLY=($(compgen -W "-h --help --outcome --source --since --all --reason --dry-run -y --yes --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "dead purge") COMPREPLY=($(compgen -W "-h --help --outcome --source --since --all --dry-run -y --yes --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "pause") COMPREPLY=($(compgen -W "-h --help --for --reason --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "resume") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "config") COMPREPLY=($(compgen -W "show schema init -h --help --config --profile --json -v --verbose -q --quiet --concurrency --queue --base-url --token-file" -- "$cur")) ;;
        "config show") COMPREPLY=($(compgen -W "-h --help --changed --config --profile --json -v --verbose -q --quiet --concurrency --queue --base-url --token-file" -- "$cur")) ;;
        "config schema") COMPREPLY=($(compgen -W "-h --help" -- "$cur")) ;;
        "config init") COMPREPLY=($(compgen -W "daemon once sidecar discovery - - -h --help --stdout --config --profile --json -v --verbose -q --quiet" -- "$cur")) ;;
        "notify") COMPREPLY=($(compgen -W "test -h --help --config --profile --json -v --verbose -q --quiet" -- "$cur")) ;;
        "notify test") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet" -- "$cur")) ;;
        "completion") COMPREPLY=($(compgen -W "bash zsh fish -h --help" -- "$cur")) ;;
        "systemd") COMPREPLY=($(compgen -W "show -h --help" -- "$cur")) ;;
        "systemd show") COMPREPLY=($(compgen -W "reaper.service reaper-once.service reaper-once.timer reaper.sysusers reaper.toml token-file.conf egress.conf notify-reload.conf -h --help" -- "$cur")) ;;
        "queue") COMPREPLY=($(compgen -W "init backup restore -h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "queue init") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur")) ;;
        "queue backup") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur") $(compgen -f -- "$cur")) ;;
        "queue restore") COMPREPLY=($(compgen -W "-h --help --config --profile --json -v --verbose -q --quiet --queue" -- "$cur") $(compgen -f -- "$cur")) ;;
        "sandbox") COMPREPLY=($(compgen -W "-h --help --port --token --latency --fail --sessions --seed --log --json -v --verbose -q --quiet" -- "$cur")) ;;
        "demo") COMPREPLY=($(compgen -W "-h --help --sessions --seed --json -v --verbose -q --quiet" -- "$cur")) ;;
    esac
}
complete -o filenames -o bashdefault -F _reaper reaper
