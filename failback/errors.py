"""The vocabulary of failures. A state machine catches by class name, so every name here is unique and final.

A message says what happened, what it usually means and what to do; it is written for the person who has to act.
"""

from __future__ import annotations


class FailbackError(Exception):
    """Anything this product refuses or fails at on purpose; its text is meant for the user."""


class ImageError(FailbackError):
    """The client ISO can't become a client image, or the image can't be written."""


class NotAnIso(ImageError):
    """The input isn't an ISO 9660 file system."""


class IsoTruncated(ImageError):
    """The input ends before the size that its volume descriptor states, or a file lies beyond its end."""


class IsoCorrupt(ImageError):
    """A structure inside the ISO contradicts itself."""


class NoLiveImage(ImageError):
    """The ISO holds no live file system (LiveOS/squashfs.img or a known variant of it)."""


class BootFileMissing(ImageError):
    """The ISO's boot configuration names no kernel or initrd, or names one that isn't there."""


class UnknownCompression(ImageError):
    """A file is compressed in a way that this program can't read."""


class DataCorrupt(ImageError):
    """Compressed or archived data is cut off or damaged."""


class InitrdUnsuitable(ImageError):
    """The initrd lacks something that the agent's hook needs."""


class DriverMissing(ImageError):
    """A driver that the target cloud needs is in neither the initrd nor the ISO's root file system."""


class ClientStartUnknown(ImageError):
    """The root file system holds no start script of the client that the agent could run."""


class AgentToolsMissing(ImageError):
    """The root file system lacks a command that the agent uses."""


class ClientUnsuitable(ImageError):
    """Several things keep the client ISO from becoming a client image; the text lists all of them."""


class HashMismatch(ImageError):
    """The input isn't the file whose hash was given."""


class OutputRefused(ImageError):
    """The output can't be written there: it's the input, a directory, a device, or the disk is full."""


class GrubUnavailable(ImageError):
    """The GRUB images that make the disk bootable haven't been built on this machine."""


class SelfCheckFailed(ImageError):
    """What was written isn't what was planned."""


class SettingsInvalid(FailbackError):
    """Settings break their contract; the text lists every fault with its path."""


class RequestInvalid(FailbackError):
    """A run was asked for in a way that can't be; the text lists every fault with its path."""


class DeploymentInvalid(FailbackError):
    """The deployment's own settings, or a stage's contract, can't be used; the text lists every fault with its path."""


class PackageIncomplete(FailbackError):
    """A function's package can't be put together: a module, a requirement or a Python to compile it with is missing."""


class StageTimedOut(FailbackError):
    """A stage has been called again and again and isn't done by its deadline."""


class CloudBusy(FailbackError):
    """A cloud throttles or fails for a while; the state machine tries again.

    `retry_after` is how many seconds the cloud itself asks to wait, 0 if it doesn't say.
    """

    retry_after: float = 0.0


class CloudRefused(FailbackError):
    """A cloud refuses a call for good: rights, quotas, policies or a value that it doesn't take."""


class CloudUnreachable(CloudBusy):
    """A cloud can't be reached over the network, or not in time; the state machine tries again."""


class SignInRefused(FailbackError):
    """The home doesn't let us in: the federation or the secret of the target isn't set up as the target says."""


class ObjectMissing(FailbackError):
    """An object isn't in its bucket (any more)."""


class ObjectChanged(FailbackError):
    """An object was replaced while it was being read."""


class IsoNotPublished(FailbackError):
    """AWS publishes no client ISO, or no hash of it, under that version in this Region."""


class SnapshotFailed(FailbackError):
    """A snapshot became an error, or stays pending."""


class AmiUnsuitable(FailbackError):
    """An AMI can't serve as client image: it isn't there, isn't available, or its root volume can't be read."""


class ImportFailed(FailbackError):
    """The client image can't be brought home."""


class BootTestFailed(FailbackError):
    """The throw-away machine didn't show the agent's mark."""


class NotReady(FailbackError):
    """Servers can't be taken home as they are; the text lists every fault of every server, and what to do."""


class ServerTaken(FailbackError):
    """Another run has this server."""


class ClientBootFailed(FailbackError):
    """The client machine doesn't come up, or its agent gave up."""


class RegistrationFailed(FailbackError):
    """The client doesn't get through DRS's initiation steps; the text names the step and what to do."""


class ReplicationStuck(FailbackError):
    """Replication has been stalled for too long; the text names DRS's reason and what to do."""


class ReplicationTooSlow(FailbackError):
    """Replication isn't ready by the request's deadline."""


class ApprovalRefused(FailbackError):
    """A person has said that the server is not to be launched."""


class ApprovalTimedOut(FailbackError):
    """Nobody has approved the launch in time; nothing was launched."""


class FenceFailed(FailbackError):
    """The workload on the recovery instance couldn't be stopped, so the server isn't launched."""


class NotLevel(FailbackError):
    """What was written last isn't replicated in time, so the server isn't launched."""


class LaunchConflict(FailbackError):
    """DRS refuses a launch for one of its servers."""


class LaunchFailed(FailbackError):
    """DRS couldn't launch the server at home; the text has its job's words."""


class LaunchTimedOut(FailbackError):
    """DRS hasn't launched the server in time."""


class CutOverFailed(FailbackError):
    """The server's own machine can't be put together or started from the replicated disks."""


class OriginalChanged(FailbackError):
    """The machine at home that was to be taken over isn't there, or isn't what was planned with."""


class Stopped(FailbackError):
    """A person has stopped the run."""


class GivenBack(FailbackError):
    """A person has decided that the server goes back to AWS, though it had come up at home."""


class LeaseLost(FailbackError):
    """Another run has taken over what this one was working on."""


class NotGivenBack(FailbackError):
    """Something that a run made couldn't be removed."""


class RunUnknown(FailbackError):
    """There is no run of that name."""


class NotDeployed(FailbackError):
    """There's no deployment to talk to: neither the embedded clouds run, nor is a stack named."""


class MachineError(FailbackError):
    """A local virtual machine couldn't be started or didn't reach the state it was waited for."""


class LocalCloudError(FailbackError):
    """An embedded cloud can't be started as asked: its parts don't fit together, or one of them refused."""


class RuntimeMismatch(LocalCloudError):
    """A function was built for another Python version than the one that would run it."""


class EngineMismatch(LocalCloudError):
    """The AWS emulation below isn't the version that this program is made for, or isn't as it was."""


class StandinError(FailbackError):
    """The stand-in client ISO couldn't be built."""
