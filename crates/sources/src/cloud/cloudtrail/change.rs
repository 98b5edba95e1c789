//! Which calls change an identity or what is exposed, and which open a shell.

use super::Values;
use crate::cloud::{member, says};
use crate::decode::find::find;
use crate::decode::json::{Paths, elements};
use portreeve_model::event::Change;
use std::borrow::Cow;
use std::sync::LazyLock;

/// Calls through which somebody gets a shell on a machine or into a container.
pub(super) fn is_shell(name: &[u8], service: &[u8]) -> bool {
    match service {
        b"ssm.amazonaws.com" => {
            matches!(name, b"StartSession" | b"ResumeSession" | b"SendCommand" | b"StartAutomationExecution")
        }
        b"ec2-instance-connect.amazonaws.com" => {
            matches!(name, b"SendSSHPublicKey" | b"SendSerialConsoleSSHPublicKey" | b"OpenTunnel")
        }
        b"ecs.amazonaws.com" => name == b"ExecuteCommand",
        b"cloudshell.amazonaws.com" => matches!(name, b"CreateSession" | b"CreateEnvironment"),
        b"lightsail.amazonaws.com" => name == b"GetInstanceAccessDetails",
        _ => false,
    }
}

/// What a call was about: a user, role, group, key, secret or machine.
pub(super) fn target<'a>(name: &[u8], v: &Values<'a>, shell: bool) -> Cow<'a, [u8]> {
    let named = [v[21], v[22], v[24], v[26]].into_iter().find(|x| !x.is_missing());
    if let Some(named) = named {
        return named.text();
    }
    let parameters = v[25].nested();
    let keys: &[&[u8]] = if shell {
        &[
            b"\"target\"",
            b"\"instanceId\"",
            b"\"instanceIds\"",
            b"\"task\"",
            b"\"sessionId\"",
            b"\"documentName\"",
        ]
    } else {
        match name {
            b"GetSecretValue" | b"PutResourcePolicy" | b"DeleteSecret" => &[b"\"secretId\""],
            b"GetParameter" | b"GetParameters" | b"GetParametersByPath" => {
                &[b"\"name\"", b"\"path\"", b"\"names\""]
            }
            b"AuthorizeSecurityGroupIngress" | b"ModifySecurityGroupRules" => {
                &[b"\"groupId\"", b"\"GroupId\""]
            }
            b"StopLogging" | b"DeleteTrail" | b"UpdateTrail" => &[b"\"name\""],
            b"PutEventSelectors" => &[b"\"trailName\""],
            b"AssumeRole" | b"AssumeRoleWithWebIdentity" => &[b"\"roleArn\""],
            b"SwitchRole" | b"ExitRole" => return switched(v),
            b"GetPasswordData" | b"ModifyInstanceAttribute" | b"TerminateSession" => {
                &[b"\"instanceId\"", b"\"sessionId\""]
            }
            _ => &[
                b"\"bucketName\"",
                b"\"functionName\"",
                b"\"keyName\"",
                b"\"principalId\"",
                b"\"snapshotId\"",
                b"\"imageId\"",
                b"\"networkAclId\"",
                b"\"detectorId\"",
                b"\"groupId\"",
                b"\"instanceId\"",
            ],
        }
    };
    Cow::Borrowed(keys.iter().find_map(|k| member(parameters, k)).unwrap_or_default())
}

fn switched<'a>(v: &Values<'a>) -> Cow<'a, [u8]> {
    let role = |arn: &'a [u8]| find(arn, b"assumed-role/").map(|at| &arn[at + 13..]);
    let named = role(v[12].bytes()).and_then(|r| r.split(|b| *b == b'/').next()).unwrap_or_default();
    Cow::Borrowed(named)
}

pub(super) fn of(name: &[u8], service: &[u8], v: &Values<'_>) -> Change {
    let parameters = v[25].nested();
    let has = |needle: &[u8]| find(parameters, needle).is_some();
    match name {
        b"CreateUser" | b"CreateRole" => Change::AccountCreated,
        b"DeleteUser" | b"DeleteRole" => Change::AccountDeleted,
        b"DisableUser" => Change::AccountDisabled,
        b"EnableUser" => Change::AccountEnabled,
        b"CreateAccessKey"
        | b"CreateLoginProfile"
        | b"UploadSSHPublicKey"
        | b"CreateServiceSpecificCredential"
        | b"UploadSigningCertificate"
        | b"CreateKeyPair"
        | b"ImportKeyPair"
        | b"GetFederationToken" => Change::KeyCreated,
        b"UpdateLoginProfile" | b"ChangePassword" | b"UpdatePassword" => Change::PasswordReset,
        b"AddUserToGroup" | b"AddMemberToGroup" | b"CreateGroupMembership" => Change::GroupAdded,
        b"RemoveUserFromGroup" | b"RemoveMemberFromGroup" | b"DeleteGroupMembership" => Change::GroupRemoved,
        b"AttachUserPolicy"
        | b"PutUserPolicy"
        | b"AttachRolePolicy"
        | b"PutRolePolicy"
        | b"AttachGroupPolicy"
        | b"PutGroupPolicy"
        | b"CreatePolicyVersion"
        | b"SetDefaultPolicyVersion"
        | b"AddRoleToInstanceProfile"
        | b"DeleteUserPermissionsBoundary"
        | b"DeleteRolePermissionsBoundary"
        | b"CreateAccountAssignment"
        | b"AttachManagedPolicyToPermissionSet"
        | b"PutInlinePolicyToPermissionSet"
        | b"PutPermissionsPolicy"
        | b"AssociateProfile"
        | b"AssociateAccessPolicy" => Change::RoleGranted,
        b"DetachUserPolicy" | b"DetachRolePolicy" | b"DeleteAccountAssignment" => Change::RoleRemoved,
        b"UpdateAssumeRolePolicy"
        | b"CreateSAMLProvider"
        | b"UpdateSAMLProvider"
        | b"CreateOpenIDConnectProvider"
        | b"UpdateAccountPasswordPolicy"
        | b"DeleteAccountPasswordPolicy"
        | b"CreateTrustAnchor"
        | b"PutMfaDeviceManagementForDirectory"
        | b"UpdateMfaDeviceManagementForDirectory"
        | b"CreateExternalIdPConfigurationForDirectory"
        | b"UpdateExternalIdPConfigurationForDirectory"
        | b"EnableExternalIdPConfigurationForDirectory"
        | b"AssociateDirectory"
        | b"LeaveOrganization" => Change::PolicyChanged,
        b"DeactivateMFADevice" | b"DeleteMfaDeviceForUser" => Change::FactorRemoved,
        b"EnableMFADevice"
        | b"CompleteVirtualMfaDeviceRegistration"
        | b"CompleteWebauthnDeviceRegistration"
        | b"CompleteWebAuthnDeviceRegistration" => Change::FactorEnrolled,
        b"StopLogging"
        | b"DeleteTrail"
        | b"PutEventSelectors"
        | b"StopEventDataStoreIngestion"
        | b"DeleteEventDataStore"
        | b"DeleteFlowLogs"
        | b"DeleteLogGroup"
        | b"DeleteLogStream"
        | b"DeleteDetector"
        | b"DisassociateFromAdministratorAccount"
        | b"DisassociateFromMasterAccount"
        | b"DisableSecurityHub"
        | b"StopConfigurationRecorder"
        | b"DeleteConfigurationRecorder"
        | b"DeleteDeliveryChannel"
        | b"DeleteResolverQueryLogConfig"
        | b"DisassociateResolverQueryLogConfig" => Change::LoggingStopped,
        b"UpdateDetector" if says(parameters, b"\"enable\"", b"false") => Change::LoggingStopped,
        b"UpdateTrail"
            if says(parameters, b"\"isMultiRegionTrail\"", b"false")
                || says(parameters, b"\"includeGlobalServiceEvents\"", b"false") =>
        {
            Change::LoggingStopped
        }
        b"AuthorizeSecurityGroupIngress" | b"ModifySecurityGroupRules" if open_to_all(parameters) => {
            Change::Exposed
        }
        b"CreateNetworkAclEntry" | b"ReplaceNetworkAclEntry"
            if open_to_all(parameters)
                && says(parameters, b"\"egress\"", b"false")
                && says(parameters, b"\"ruleAction\"", b"\"allow\"") =>
        {
            Change::Exposed
        }
        b"ModifyImageAttribute" | b"ModifySnapshotAttribute"
            if says(parameters, b"\"group\"", b"\"all\"") =>
        {
            Change::Exposed
        }
        b"ModifyDBInstance" | b"CreateDBInstance" if says(parameters, b"\"publiclyAccessible\"", b"true") => {
            Change::Exposed
        }
        b"UpdateClusterConfig" if says(parameters, b"\"endpointPublicAccess\"", b"true") => Change::Exposed,
        b"PutBucketAcl" if has(b"AllUsers") || has(b"\"public-read") => Change::Exposed,
        b"PutBucketPolicy"
            if says(parameters, b"\"Principal\"", b"\"*\"")
                && says(parameters, b"\"Effect\"", b"\"Allow\"") =>
        {
            Change::Exposed
        }
        b"AddPermission20150331v2" if says(parameters, b"\"principal\"", b"\"*\"") => Change::Exposed,
        b"DeletePublicAccessBlock" | b"DeleteBucketPublicAccessBlock" => Change::Exposed,
        b"GetSecretValue" | b"GetPasswordData" | b"BatchGetSecretValue" => Change::CredentialAccess,
        b"GetParameter" | b"GetParameters" | b"GetParametersByPath"
            if service == b"ssm.amazonaws.com" && says(parameters, b"\"withDecryption\"", b"true") =>
        {
            Change::CredentialAccess
        }
        _ => Change::None,
    }
}

static ITEMS: LazyLock<Paths<1>> = LazyLock::new(|| Paths::new(["ipPermissions.items"]));
static RULE: LazyLock<Paths<3>> = LazyLock::new(|| Paths::new(["fromPort", "toPort", "ipProtocol"]));

/// What a rule opens to everybody: `port 22 from 0.0.0.0/0`. Empty where the call is about no ports.
pub(super) fn opened(v: &Values<'_>) -> Vec<u8> {
    let parameters = v[25].nested();
    let items = ITEMS.pick(parameters).map(|i| i[0].nested()).unwrap_or_default();
    let item = elements(items).map(|i| i.nested()).find(|i| open_to_all(i)).unwrap_or(parameters);
    let Ok(rule) = RULE.pick(item) else { return Vec::new() };
    crate::cloud::opened(rule[0].bytes(), rule[1].bytes(), rule[2].is(b"-1"))
}

fn open_to_all(parameters: &[u8]) -> bool {
    // Whatever stands before it, a prefix of no bits is everybody.
    find(parameters, b"/0\"").is_some()
}
