// SPDX-License-Identifier: MIT
// Has KVM leave its guest once, before the guest's first instruction, whenever it is entered with an interrupt.
//
// QEMU's emulation of AMD's virtualization keeps the number of an interrupt that VMRUN injects (`exception_index` in
// target/i386/tcg/system/svm_helper.c, to 11.1 at least) until the guest is left or interrupted. Asked in between to stop for
// anything else, as a thread of its own does that has a timer, it delivers the interrupt again, in the middle of its handler: a
// guest then waits for its own lock for ever. An exit makes QEMU forget the number. The processor delivers once by itself.
#include <linux/irq_work.h>
#include <linux/kvm_host.h>
#include <linux/module.h>
#include <linux/tracepoint.h>

extern struct tracepoint __tracepoint_kvm_entry;

static void nothing(struct irq_work *work) {}
static DEFINE_IRQ_WORK(interrupt, nothing);

// Interrupts are off here, until VMRUN: the one that this sends is taken by the exit.
static void entry(void *data, struct kvm_vcpu *vcpu, bool force_immediate_exit)
{
	if (vcpu->arch.interrupt.injected)
		irq_work_queue(&interrupt);
}

static int __init start(void)
{
	return tracepoint_probe_register(&__tracepoint_kvm_entry, entry, NULL);
}

static void __exit end(void)
{
	tracepoint_probe_unregister(&__tracepoint_kvm_entry, entry, NULL);
	tracepoint_synchronize_unregister();
}

module_init(start);
module_exit(end);
MODULE_DESCRIPTION("an interrupt that is injected is delivered once under QEMU");
MODULE_LICENSE("Dual MIT/GPL");
