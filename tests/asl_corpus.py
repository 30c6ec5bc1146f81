"""State machines of many kinds, written for the tests from the language's specification."""

from __future__ import annotations

from typing import Any


def function(name: str) -> str:
    return f"arn:aws:lambda:eu-central-1:123456789012:function:{name}"


def task(name: str, **more: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": function(name), **({"End": True} if "Next" not in more else {}), **more}


def machine(start: str, states: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"StartAt": start, "States": states, **more}


CORPUS: dict[str, dict[str, Any]] = {
    "one task": machine("Greet", {"Greet": task("greet")}, Comment="Greet somebody"),
    "chain with results kept": machine(
        "Order",
        {
            "Order": task("load_order", Parameters={"id.$": "$.order_id"}, ResultPath="$.order", Next="Charge"),
            "Charge": task(
                "charge",
                Parameters={"amount.$": "$.order.total", "currency": "EUR"},
                ResultSelector={"payment.$": "$.id"},
                ResultPath="$.charge",
                Next="Report",
            ),
            "Report": task("report"),
        },
    ),
    "choice of every kind": machine(
        "Decide",
        {
            "Decide": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.kind", "StringEquals": "private", "Next": "A"},
                    {
                        "And": [
                            {"Variable": "$.value", "IsPresent": True},
                            {"Variable": "$.value", "IsNumeric": True},
                            {"Variable": "$.value", "NumericGreaterThanEquals": 20},
                            {"Not": {"Variable": "$.value", "NumericLessThanPath": "$.least"}},
                        ],
                        "Next": "B",
                    },
                    {
                        "Or": [
                            {"Variable": "$.name", "StringMatches": "log-*.txt"},
                            {"Variable": "$.gone", "IsNull": True},
                            {"Variable": "$.at", "TimestampLessThan": "2030-01-01T00:00:00Z"},
                            {"Variable": "$.flag", "BooleanEquals": True},
                        ],
                        "Next": "C",
                    },
                ],
                "Default": "Other",
            },
            "A": {"Type": "Pass", "Result": "a", "End": True},
            "B": {"Type": "Pass", "Result": "b", "End": True},
            "C": {"Type": "Pass", "Result": "c", "End": True},
            "Other": {"Type": "Fail", "Error": "NoKind", "Cause": "nothing fits"},
        },
    ),
    "no default": machine(
        "Decide",
        {
            "Decide": {"Type": "Choice", "Choices": [{"Variable": "$.n", "NumericEquals": 1, "Next": "Done"}]},
            "Done": {"Type": "Succeed"},
        },
    ),
    "polling": machine(
        "Submit",
        {
            "Submit": task("submit", ResultPath="$.job", Next="Pause"),
            "Pause": {"Type": "Wait", "SecondsPath": "$.pause", "Next": "Look"},
            "Look": task("look", Parameters={"job.$": "$.job.id"}, ResultPath="$.status", Next="Ready?"),
            "Ready?": {
                "Type": "Choice",
                "Choices": [
                    {"Variable": "$.status.state", "StringEquals": "READY", "Next": "Fetch"},
                    {"Variable": "$.status.state", "StringEquals": "FAILED", "Next": "Failed"},
                ],
                "Default": "Pause",
            },
            "Failed": {"Type": "Fail", "Error": "JobFailed", "Cause": "the job failed"},
            "Fetch": task("fetch", Parameters={"job.$": "$.job.id"}),
        },
    ),
    "parallel": machine(
        "Both",
        {
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    machine("Address", {"Address": task("address")}),
                    machine(
                        "Phone",
                        {
                            "Phone": task("phone", ResultPath="$.phone", Next="Shape"),
                            "Shape": {"Type": "Pass", "Parameters": {"number.$": "$.phone.number"}, "End": True},
                        },
                    ),
                ],
                "ResultPath": "$.found",
                "Next": "Use",
            },
            "Use": task("use", Parameters={"street.$": "$.found[0].street", "number.$": "$.found[1].number"}),
        },
    ),
    "parallel with a handler": machine(
        "Both",
        {
            "Both": {
                "Type": "Parallel",
                "Branches": [machine("One", {"One": task("one")}), machine("Two", {"Two": task("two")})],
                "Catch": [
                    {"ErrorEquals": ["Rejected"], "Next": "Rejected"},
                    {"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Repair"},
                ],
                "End": True,
            },
            "Rejected": {"Type": "Succeed"},
            "Repair": task("repair", Parameters={"id.$": "$.id"}),
        },
    ),
    "map": machine(
        "Each",
        {
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.order.lines",
                "MaxConcurrency": 3,
                "ItemSelector": {"line.$": "$$.Map.Item.Value", "order.$": "$.order.id"},
                "ItemProcessor": machine("Price", {"Price": task("price")}, ProcessorConfig={"Mode": "INLINE"}),
                "ResultPath": "$.priced",
                "Next": "Sum",
            },
            "Sum": task("sum", Parameters={"lines.$": "$.priced"}),
        },
    ),
    "map with a choice within": machine(
        "Each",
        {
            "Each": {
                "Type": "Map",
                "ItemsPath": "$.lines",
                "Iterator": machine(
                    "Big?",
                    {
                        "Big?": {
                            "Type": "Choice",
                            "Choices": [{"Variable": "$.n", "NumericGreaterThan": 10, "Next": "Big"}],
                            "Default": "Small",
                        },
                        "Big": {"Type": "Pass", "Result": {"size": "big"}, "End": True},
                        "Small": {"Type": "Pass", "Parameters": {"size": "small", "n.$": "$.n"}, "End": True},
                    },
                ),
                "End": True,
            }
        },
    ),
    "retry and catch": machine(
        "Risky",
        {
            "Risky": task(
                "risky",
                TimeoutSeconds=30,
                Retry=[
                    {
                        "ErrorEquals": ["States.ALL"],
                        "IntervalSeconds": 2,
                        "MaxAttempts": 4,
                        "BackoffRate": 3,
                        "MaxDelaySeconds": 60,
                        "JitterStrategy": "FULL",
                    }
                ],
                Catch=[
                    {"ErrorEquals": ["OutOfStock", "States.Timeout"], "ResultPath": "$.error", "Next": "Apologise"},
                    {"ErrorEquals": ["States.ALL"], "Next": "GiveUp"},
                ],
                ResultPath="$.done",
                Next="Thank",
            ),
            "Thank": task("thank", Parameters={"id.$": "$.id"}),
            "Apologise": task("apologise", Parameters={"id.$": "$.id"}),
            "GiveUp": {"Type": "Fail", "Error": "GaveUp", "CausePath": "$.Cause"},
        },
    ),
    "waits": machine(
        "A",
        {
            "A": {"Type": "Wait", "Seconds": 5, "Next": "B"},
            "B": {"Type": "Wait", "Timestamp": "2026-01-01T00:00:00Z", "Next": "C"},
            "C": {"Type": "Wait", "TimestampPath": "$.until", "Next": "D"},
            "D": {"Type": "Succeed"},
        },
    ),
    "passes": machine(
        "Make",
        {
            "Make": {"Type": "Pass", "Result": {"a": 1, "in": [1, 2]}, "ResultPath": "$.made", "Next": "Change"},
            "Change": {
                "Type": "Pass",
                "InputPath": "$.made",
                "Parameters": {"b.$": "$.a", "text.$": "States.Format('{} of {}', $.a, $$.Execution.Id)"},
                "ResultPath": "$.changed",
                "Next": "Show",
            },
            "Show": {"Type": "Pass", "OutputPath": "$.changed", "End": True},
        },
    ),
    "merge of ways": machine(
        "Which",
        {
            "Which": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.fast", "BooleanEquals": True, "Next": "Fast"}],
                "Default": "Slow",
            },
            "Fast": {"Type": "Pass", "Result": 1, "ResultPath": "$.days", "Next": "Ship"},
            "Slow": {"Type": "Pass", "Result": 5, "ResultPath": "$.days", "Next": "Ship"},
            "Ship": task("ship", Parameters={"days.$": "$.days", "all.$": "$"}),
        },
    ),
    "http": machine(
        "Send",
        {
            "Send": {
                "Type": "Task",
                "Resource": "arn:aws:states:::http:invoke",
                "Parameters": {
                    "ApiEndpoint": "https://api.example.com/v1/orders",
                    "Method": "POST",
                    "Headers": {"Accept": "application/json"},
                    "QueryParameters": {"dry": "no"},
                    "RequestBody": {"id.$": "$.id"},
                },
                "ResultSelector": {"status.$": "$.StatusCode", "order.$": "$.ResponseBody"},
                "End": True,
            }
        },
    ),
    "services": machine(
        "Put",
        {
            "Put": {
                "Type": "Task",
                "Resource": "arn:aws:states:::dynamodb:putItem",
                "Parameters": {"TableName": "orders", "Item": {"id": {"S.$": "$.id"}}},
                "ResultPath": None,
                "Next": "Invoke",
            },
            "Invoke": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "score", "Payload": {"id.$": "$.id"}},
                "OutputPath": "$.Payload",
                "Next": "Approve",
            },
            "Approve": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Parameters": {"Token.$": "$$.Task.Token", "Score.$": "$.score"},
                "TimeoutSeconds": 3600,
                "Catch": [{"ErrorEquals": ["States.Timeout"], "Next": "Late"}],
                "Next": "Child",
            },
            "Child": {
                "Type": "Task",
                "Resource": "arn:aws:states:::states:startExecution.sync:2",
                "Parameters": {
                    "StateMachineArn": "arn:aws:states:eu-central-1:123456789012:stateMachine:Deliver",
                    "Input": {"who.$": "$.who"},
                },
                "End": True,
            },
            "Late": {"Type": "Succeed"},
        },
    ),
    "functions": machine(
        "Count",
        {
            "Count": {
                "Type": "Pass",
                "Parameters": {
                    "next.$": "States.MathAdd($.n, 1)",
                    "both.$": "States.Array($.n, 'x')",
                    "first.$": "States.ArrayGetItem($.list, 0)",
                    "has.$": "States.ArrayContains($.list, $.n)",
                    "id.$": "States.UUID()",
                    "all.$": "$.list[*].id",
                },
                "End": True,
            }
        },
    ),
    "nested": machine(
        "Outer",
        {
            "Outer": {
                "Type": "Parallel",
                "Branches": [
                    machine(
                        "Inner",
                        {
                            "Inner": {
                                "Type": "Map",
                                "ItemsPath": "$.items",
                                "ItemProcessor": machine(
                                    "Check",
                                    {
                                        "Check": {
                                            "Type": "Choice",
                                            "Choices": [{"Variable": "$.ok", "BooleanEquals": True, "Next": "Fine"}],
                                        },
                                        "Fine": {"Type": "Succeed"},
                                    },
                                ),
                                "End": True,
                            }
                        },
                    )
                ],
                "End": True,
            }
        },
    ),
}
