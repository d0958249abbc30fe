#!/bin/sh
# A register that is derived from another inherits nothing if it has no description: cmsis-svd 0.6, against peakrdl-svd 0.1.0
# with peakrdl 1.5.0 and peakrdl-systemrdl 1.0.1 (PyPI).
#
# CMSIS-SVD's derivedFrom copies all that a register does not say itself. A description is optional: the file passes the
# check against the schema that cmsis-svd itself brings.
# Guess: STATUS2 (no description) and STATUS3 (with one) are both as STATUS: read-write, reset value 1, the field ERR.
# Happens: STATUS2 takes access and reset value from the device's defaults and has no field. No error, no warning.
#   peakrdl-svd gives all three the field with write one to clear, and its reset value.
# Seen:
#   cmsis-svd STATUS read-write 0x1 ERR
#   cmsis-svd STATUS2 read-only 0x0 -
#   cmsis-svd STATUS3 read-write 0x1 ERR
#   peakrdl-svd: 3 fields ERR[0:0] = 0x1, 3 woclr
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet cmsis-svd==0.6 peakrdl==1.5.0 peakrdl-svd==0.1.0 peakrdl-systemrdl==1.0.1 >log 2>&1 || { cat log >&2; exit 2; }

cat >device.svd <<'END'
<?xml version="1.0" encoding="utf-8"?>
<device schemaVersion="1.3">
  <name>Device</name><version>1</version><description>A device</description>
  <addressUnitBits>8</addressUnitBits><width>32</width>
  <size>32</size><access>read-only</access><resetValue>0</resetValue><resetMask>0xFFFFFFFF</resetMask>
  <peripherals><peripheral>
    <name>Block</name><baseAddress>0x40000000</baseAddress>
    <registers>
      <register>
        <name>STATUS</name><addressOffset>0</addressOffset><access>read-write</access><resetValue>1</resetValue>
        <fields><field>
          <name>ERR</name><bitRange>[0:0]</bitRange><modifiedWriteValues>oneToClear</modifiedWriteValues>
        </field></fields>
      </register>
      <register derivedFrom="STATUS"><name>STATUS2</name><addressOffset>4</addressOffset></register>
      <register derivedFrom="STATUS">
        <name>STATUS3</name><description>Third</description><addressOffset>8</addressOffset>
      </register>
    </registers>
  </peripheral></peripherals>
</device>
END
cat >program.py <<'END'
from cmsis_svd import SVDParser

device = SVDParser.for_xml_file("device.svd").get_device(xml_validation=True, schema_version_detection=False)
for register in device.peripherals[0].registers:
    fields = [field.name for field in register.fields or []]
    print("cmsis-svd", register.name, register.access.value, hex(register.reset_value), *(fields or ["-"]))
END
cat >expected <<'END'
cmsis-svd STATUS read-write 0x1 ERR
cmsis-svd STATUS2 read-only 0x0 -
cmsis-svd STATUS3 read-write 0x1 ERR
peakrdl-svd: 3 fields ERR[0:0] = 0x1, 3 woclr
END
venv/bin/python program.py >seen
venv/bin/peakrdl systemrdl device.svd -o device.rdl >log 2>&1 || { cat log >&2; exit 2; }
echo "peakrdl-svd: $(grep -c 'ERR\[0:0\] = 0x1;' device.rdl) fields ERR[0:0] = 0x1, $(grep -c woclr device.rdl) woclr" >>seen
cat seen
diff expected seen >&2 || { echo "the behaviour has changed" >&2; exit 1; }
