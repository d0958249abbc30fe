// Devices in the kernel that belong to a virtual machine (linux/kvm.h), and KVM's VFIO device among them.
import {
  KvmCreateDevice,
  kvmCreateDeviceFlag,
  KvmDeviceAttr,
  kvmDeviceType,
  kvmDeviceVfio,
} from "../regs/ioctl/kvm-device.ts";
import { kvmDeviceRequest, kvmVmRequest } from "../regs/ioctl/kvm-requests.ts";
import { checked, int32 } from "../regs/ioctl/integer.ts";
import { bytesOf, create, wide } from "../regs/ioctl/struct.ts";
import { addressOf, ioctl, ioctlOrErrno, type IoctlContext } from "./ioctl.ts";

/** A kind of device by its name: `VFIO`. */
export type KvmDeviceType = keyof typeof kvmDeviceType;

/** KVM_CREATE_DEVICE. @returns a descriptor that the caller closes */
export function createKvmDevice(vm: number, type: KvmDeviceType, context: IoctlContext = {}): number {
  const argument = create(KvmCreateDevice);
  argument.type = kvmDeviceType[type];
  ioctl(vm, kvmVmRequest.CREATE_DEVICE, bytesOf(argument), {
    ...context,
    request: `KVM_CREATE_DEVICE ${type}`,
  });
  return argument.fd;
}

/** KVM_CREATE_DEVICE with TEST: whether KVM has such a device. */
export function hasKvmDevice(vm: number, type: KvmDeviceType): boolean {
  const argument = create(KvmCreateDevice);
  argument.type = kvmDeviceType[type];
  argument.flags = kvmCreateDeviceFlag.TEST;
  return ioctlOrErrno(vm, kvmVmRequest.CREATE_DEVICE, bytesOf(argument)) >= 0;
}

/**
 * KVM_SET_DEVICE_ATTR.
 * @param device descriptor of the device @param group of attributes @param attribute in its group
 * @param value what its kind says; undefined: none
 * @param name of device and attribute, for messages
 */
export function setKvmDeviceAttribute(
  device: number,
  group: number,
  attribute: number,
  value: Uint8Array | undefined,
  name: string,
  context: IoctlContext = {},
): void {
  const argument = create(KvmDeviceAttr);
  argument.group = group;
  argument.attr = wide(attribute);
  argument.addr = value === undefined ? 0n : addressOf(value);
  ioctl(device, kvmDeviceRequest.SET_DEVICE_ATTR, bytesOf(argument), {
    ...context,
    request: `KVM_SET_DEVICE_ATTR ${name}`,
  });
}

/**
 * KVM_SET_DEVICE_ATTR of the VFIO device: FILE_ADD or FILE_DEL (Documentation/virt/kvm/devices/vfio.rst).
 * @param device descriptor of the VFIO device
 * @param file of a VFIO group, or of a device that was opened by its character device (Linux 6.6)
 */
export function setVfioFile(
  device: number,
  file: number,
  action: "FILE_ADD" | "FILE_DEL",
  context: IoctlContext = {},
): void {
  const value = new Int32Array(new ArrayBuffer(4));
  value[0] = checked(file, int32("a file"));
  const bytes = new Uint8Array(value.buffer);
  const what = `VFIO ${action} of descriptor ${file}`;
  setKvmDeviceAttribute(device, kvmDeviceVfio.FILE, kvmDeviceVfio[action], bytes, what, context);
}
