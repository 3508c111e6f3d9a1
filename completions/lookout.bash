# bash completion for lookout(1)

_lookout() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local commands="classify import export verify inspect train evaluate dataset quantize bench plugin status explain doctor reload
    pause resume drain redrive quarantine --help --version"
  local preprocessing="--preset --resize --crop --crop-ratio --filter --channel-order --scale --mean --std"
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    mapfile -t COMPREPLY < <(compgen -W "$commands" -- "$current")
    return
  fi
  case $previous in
  --language)
    mapfile -t COMPREPLY < <(compgen -W "swift c" -- "$current")
    return
    ;;
  --part)
    mapfile -t COMPREPLY < <(compgen -W "train validation test" -- "$current")
    return
    ;;
  --precision)
    mapfile -t COMPREPLY < <(compgen -W "auto fp32 bf16 int8" -- "$current")
    return
    ;;
  --method)
    mapfile -t COMPREPLY < <(compgen -W "minmax percentile entropy auto" -- "$current")
    return
    ;;
  --against | --calibrate | --html | --report | --images | --validation | --test | --data.* | --folder | --socket | --config | --model | --labels | --photos | --scratch | --kit | -o)
    mapfile -t COMPREPLY < <(compgen -f -- "$current")
    return
    ;;
  esac
  local words=
  case ${COMP_WORDS[1]} in
  status) words="--json --once --socket --config" ;;
  explain) words="--json --id --sha256 --socket --config" ;;
  doctor) words="--json --user --unit --socket --config" ;;
  reload | pause | resume) words="--json --socket --config" ;;
  drain) words="--json --timeout --socket --config" ;;
  redrive)
    words="--json --socket --config"
    [[ $current == -* ]] || words="$words $(lookout status --json 2>/dev/null |
      sed -n 's/.*"sinks":\[{/{/p' | grep -o '"name":"[^"]*","plugin"' | cut -d'"' -f4)"
    ;;
  quarantine)
    [ "$COMP_CWORD" -eq 2 ] && words="list release" || words="--json --limit --before --all --socket --config"
    ;;
  plugin)
    if [ "$COMP_CWORD" -eq 2 ]; then
      words="list new test"
    else
      case ${COMP_WORDS[2]} in
      new) words="--language --kit" ;;
      test) words="--json --config" ;;
      *) words="--json --config" ;;
      esac
    fi
    ;;
  classify) words="--model --precision --top --json --full-decode" ;;
  import) words="--architecture --input-size --output --labels --half -o $preprocessing" ;;
  export) words="--architecture --input-size -o" ;;
  verify) words="--against --photos --architecture --input-size --output --tolerance --json $preprocessing" ;;
  train) words="--data.train --data.validation --data.test --folder --output.name --epochs --batch_size --threads --seed --help" ;;
  evaluate) words="--html --report --images --part --threads --json" ;;
  dataset)
    [ "$COMP_CWORD" -eq 2 ] && words="check" || words="--validation --validation-ratio --seed --test --images"
    ;;
  quantize) words="--calibrate --photos --method --percentile --no-equalize --json -o" ;;
  inspect) words="--json" ;;
  bench)
    words="machine engine layers algorithms decode pipeline start latency memory training --model --photos --count --scratch --batch"
    words="$words --threads --seconds --rounds --precision --json"
    ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  # What is no option may be a file.
  if [[ $current != -* ]]; then
    case ${COMP_WORDS[1]} in
    explain | classify | import | inspect | export | verify | train | evaluate | dataset | quantize)
      mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
      ;;
    plugin)
      [ "${COMP_WORDS[2]}" = test ] && mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$current")
      ;;
    esac
  fi
}

complete -o filenames -F _lookout lookout
