# fish completion for lookout(1)

function __lookout_first
    test (count (commandline -opc)) -eq 1
end

function __lookout_in
    set -l words (commandline -opc)
    test (count $words) -ge 2; and contains -- $words[2] $argv
end

complete -c lookout -n __lookout_first -f -a classify -d 'say what is in pictures'
complete -c lookout -n __lookout_first -f -a import -d 'turn a checkpoint into a weights file'
complete -c lookout -n __lookout_first -f -a export -d 'write a weights file in another form'
complete -c lookout -n __lookout_first -f -a verify -d 'compare two models'
complete -c lookout -n __lookout_first -f -a inspect -d 'show what is in a weights file'
complete -c lookout -n __lookout_first -f -a train -d 'train a model'
complete -c lookout -n __lookout_first -f -a dataset -d 'look for what spoils a run'
complete -c lookout -n __lookout_first -f -a evaluate -d 'measure a model on labelled pictures'
complete -c lookout -n __lookout_first -f -a quantize -d 'turn a weights file into 8-bit integers'
complete -c lookout -n __lookout_first -f -a bench -d 'measure this installation'
complete -c lookout -n __lookout_first -f -a plugin -d 'list, make and test sink plugins'
complete -c lookout -n __lookout_first -f -a status -d 'show how the service is'
complete -c lookout -n __lookout_first -f -a explain -d 'tell where an image is and why'
complete -c lookout -n __lookout_first -f -a doctor -d 'find what keeps the service from its job'
complete -c lookout -n __lookout_first -f -a reload -d 'take over configuration and models'
complete -c lookout -n __lookout_first -f -a pause -d 'take no further file'
complete -c lookout -n __lookout_first -f -a resume -d 'take files again'
complete -c lookout -n __lookout_first -f -a drain -d 'pause, and wait until all is delivered'
complete -c lookout -n __lookout_first -f -a redrive -d 'send dead letters again'
complete -c lookout -n __lookout_first -f -a quarantine -d 'list or release refused files'

set -l service status explain doctor reload pause resume drain redrive quarantine
complete -c lookout -n "__lookout_in $service" -l json -d 'print JSON'
complete -c lookout -n "__lookout_in $service" -l socket -r -d 'socket of the service'
complete -c lookout -n "__lookout_in $service" -l config -r -d 'configuration file'
complete -c lookout -n '__lookout_in status' -l once -d 'print once, also on a terminal'
complete -c lookout -n '__lookout_in explain' -l id -x -d 'arrival'
complete -c lookout -n '__lookout_in explain' -l sha256 -x -d 'digest of the bytes'
complete -c lookout -n '__lookout_in doctor' -l user -x -a '(__fish_complete_users)' -d 'who the service runs as'
complete -c lookout -n '__lookout_in doctor' -l unit -x -d 'systemd unit'
complete -c lookout -n '__lookout_in drain' -l timeout -x -d 'seconds'
complete -c lookout -n '__lookout_in quarantine' -f -a 'list release'
complete -c lookout -n '__lookout_in quarantine' -l all -d 'release every file'
complete -c lookout -n '__lookout_in quarantine' -l limit -x -d 'files'
complete -c lookout -n '__lookout_in plugin' -f -a 'list new test'
complete -c lookout -n '__lookout_in plugin' -l language -x -a 'swift c' -d 'of the new plugin'
complete -c lookout -n '__lookout_in classify' -l model -r -d 'weights file'
complete -c lookout -n '__lookout_in classify' -l top -x -d 'classes'
complete -c lookout -n '__lookout_in classify inspect bench' -l json -d 'print JSON'
