#!/bin/sh
# The guest's first program: mounts, loads modules, runs each test file in a Bun of its own, and ends the machine.
#
# The kernel's command line says `vm.modules=a,b` (what to modprobe besides), `vm.shell` (a shell in place of the tests), `vm.compiler`
# (what the 9p tag `system` shares has a C compiler), and parameters of modules as `module.parameter=value`. The folder /out is the host's, where it gives one file after the other:
#   out/environment    settings, exported
#   out/tree.tar       what becomes /src
#   out/N.ask          made by the guest: it wants its Nth test file, from 1
#   out/N.file         and what it is told: a path below /src, or nothing for the end
#   out/N.xml, out/N.log, out/N.status, out/N.lcov    what came of it
#   out/exit           made by the guest when it ends: 0, or what went wrong
export PATH=/bin HOME=/root TERM=dumb NO_COLOR=1 BUN_VFIO_VM=1
mount -t proc proc /proc
mount -t sysfs sys /sys
[ -e /dev/null ] || mount -t devtmpfs dev /dev
mkdir -p /dev/shm /dev/pts
mount -t tmpfs shm /dev/shm
mount -t devpts pts /dev/pts
work=/run
export TMPDIR=$work
mount -t tmpfs run $work
mount -t debugfs debug /sys/kernel/debug 2>/dev/null

# finish STATUS: ends the machine
finish() {
  echo "$1" >/out/exit
  sync
  poweroff -f
}

shell=
compiler=
wanted=
for word in $(cat /proc/cmdline); do
  case $word in
  vm.shell) shell=1 ;;
  vm.compiler) compiler=1 ;;
  vm.modules=*) wanted=$(echo "${word#*=}" | tr , ' ') ;;
  esac
done
for file in /modules/*.ko; do
  name=$(basename "$file" .ko | sed 's/^[0-9]*-//; s/-/_/g')
  parameters=
  for word in $(cat /proc/cmdline); do
    case $word in "$name".*) parameters="$parameters ${word#*.}" ;; esac
  done
  # shellcheck disable=SC2086
  insmod "$file" $parameters || echo "vm: insmod $name failed"
done
# tell_states: what each thread of a process waits for
tell_states() {
  echo "late: what was running, by thread: its name, its state, the kernel's functions"
  for task in /proc/[0-9]*/task/[0-9]*; do
    [ -e "${task%/task/*}/exe" ] || continue
    echo "$task $(cat "$task/comm") $(sed 's/.*) //; s/ .*//' "$task/stat")" "$(cut -d' ' -f2- "$task/stack" | head -n 4 | tr '\n' ' ')"
  done 2>/dev/null
  cat /proc/uptime /proc/loadavg
  grep -E 'kvm|vfio|timer' /proc/interrupts
}
# run_tests ARGUMENT...: Bun's tests, in the log; late ones are ended, and nothing of what they started is left
run_tests() {
  setsid bun test "$@" </dev/null >$work/log 2>&1 &
  tests=$!
  (
    # shellcheck disable=SC3045 # busybox has it.
    # Nobody writes there: it waits without a process that would outlive it.
    read -r -t "$VM_FILE_TIMEOUT" _ <>$work/never
    tell_states >$work/late 2>&1
    cat $work/late >>$work/log
    kill -KILL -$tests
  ) &
  watcher=$!
  wait $tests
  status=$?
  kill -KILL $watcher -$tests 2>/dev/null
  return $status
}
# share TAG FOLDER OPTIONS: behind an IOMMU that is a device itself, the tags may come a while later
share() {
  tries=0
  until mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2" 2>/dev/null; do
    tries=$((tries + 1))
    [ $tries -lt 50 ] || return 1
    usleep 100000
  done
}
share out /out rw || poweroff -f
share modules /lib/modules ro,cache=loose || finish 101
. /out/environment
# In memory, since every file over 9p takes its time, and every test file reads hundreds.
tar -xf /out/tree.tar -C /src || finish 101
if [ -n "$VM_PACKAGES" ]; then
  mkdir /src/node_modules
  share node_modules /src/node_modules ro,cache=loose || finish 101
fi
if [ -n "$compiler" ]; then
  mkdir /compiler
  share system /compiler ro,cache=loose || finish 101
  printf '#!/bin/sh\nexec /compiler/usr/bin/gcc-14 --sysroot=/compiler -B/compiler/usr/bin/ "$@"\n' >/bin/cc
  chmod +x /bin/cc
  # Its own libraries, which the guest itself does not have.
  triplet=$(uname -m)-linux-gnu
  export LD_LIBRARY_PATH="/lib/$triplet:/compiler/usr/lib/$triplet"
  for name in bash getconf; do ln -sf "/compiler/usr/bin/$name" "/bin/$name"; done
fi
for name in $wanted; do modprobe "$name" || finish 102; done
[ ! -e /sys/module/kvm_amd ] || insmod /modules/kvm/inject-once.ko || finish 102
echo "vm: Linux $(uname -r) is up after $(cut -d' ' -f1 /proc/uptime) s"

cd /src || finish 103
mkfifo $work/never
if [ -n "$shell" ]; then
  setsid cttyhack sh
  finish 0
fi
number=0
while :; do
  number=$((number + 1))
  : >"/out/$number.ask"
  until [ -e "/out/$number.file" ]; do usleep 20000; done
  file=$(cat "/out/$number.file")
  [ -n "$file" ] || finish 0
  echo "vm: $file"
  dmesg -c >/dev/null
  set -- "./$file" --config=/etc/bunfig.toml --timeout="$VM_TEST_TIMEOUT" --reporter=junit --reporter-outfile="$work/$number.xml"
  [ -z "$VM_COVERAGE" ] || set -- "$@" --coverage --coverage-reporter=lcov --coverage-dir="$work/$number"
  run_tests "$@"
  status=$?
  [ $status -eq 0 ] || dmesg | tail -n 15 | sed 's/^/kernel: /' >>$work/log
  cp $work/log "/out/$number.log"
  [ ! -f "$work/$number.xml" ] || cp "$work/$number.xml" "/out/$number.xml"
  [ ! -f "$work/$number/lcov.info" ] || cp "$work/$number/lcov.info" "/out/$number.lcov"
  echo $status >"/out/$number.status"
done
