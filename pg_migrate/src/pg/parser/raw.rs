//! Reading PostgreSQL's raw parse trees. Every pointer comes from a tree that `split` holds in a
//! memory context of its own for as long as anything is read from it.

use super::read;
use super::tree::Name;
use pgrx::PgTryBuilder;
use pgrx::pg_sys::{self, Node, NodeTag};
use std::ffi::{CStr, c_char, c_void};
use std::panic::AssertUnwindSafe;

/// A node type with the tag that marks it.
pub trait Tagged {
    const TAG: NodeTag;
}

macro_rules! tagged {
    ($($name:ident $tag:ident),* $(,)?) => {
        $(impl Tagged for pg_sys::$name { const TAG: NodeTag = NodeTag::$tag; })*
    };
}

tagged! {
    A_Expr T_A_Expr,
    A_Indirection T_A_Indirection,
    AccessPriv T_AccessPriv,
    AlterDatabaseStmt T_AlterDatabaseStmt,
    AlterDomainStmt T_AlterDomainStmt,
    AlterEnumStmt T_AlterEnumStmt,
    AlterFunctionStmt T_AlterFunctionStmt,
    AlterObjectSchemaStmt T_AlterObjectSchemaStmt,
    AlterOwnerStmt T_AlterOwnerStmt,
    AlterPolicyStmt T_AlterPolicyStmt,
    AlterPublicationStmt T_AlterPublicationStmt,
    AlterSeqStmt T_AlterSeqStmt,
    AlterStatsStmt T_AlterStatsStmt,
    AlterSubscriptionStmt T_AlterSubscriptionStmt,
    AlterTableCmd T_AlterTableCmd,
    AlterTableMoveAllStmt T_AlterTableMoveAllStmt,
    AlterTableStmt T_AlterTableStmt,
    CaseExpr T_CaseExpr,
    ClusterStmt T_ClusterStmt,
    CoalesceExpr T_CoalesceExpr,
    CollateClause T_CollateClause,
    ColumnDef T_ColumnDef,
    ColumnRef T_ColumnRef,
    CommentStmt T_CommentStmt,
    CompositeTypeStmt T_CompositeTypeStmt,
    Constraint T_Constraint,
    CopyStmt T_CopyStmt,
    CreateAmStmt T_CreateAmStmt,
    CreateCastStmt T_CreateCastStmt,
    CreateConversionStmt T_CreateConversionStmt,
    CreateDomainStmt T_CreateDomainStmt,
    CreateEnumStmt T_CreateEnumStmt,
    CreateEventTrigStmt T_CreateEventTrigStmt,
    CreateExtensionStmt T_CreateExtensionStmt,
    CreateFdwStmt T_CreateFdwStmt,
    CreateForeignServerStmt T_CreateForeignServerStmt,
    CreateForeignTableStmt T_CreateForeignTableStmt,
    CreateFunctionStmt T_CreateFunctionStmt,
    CreatePLangStmt T_CreatePLangStmt,
    CreatePolicyStmt T_CreatePolicyStmt,
    CreatePublicationStmt T_CreatePublicationStmt,
    CreateRangeStmt T_CreateRangeStmt,
    CreateRoleStmt T_CreateRoleStmt,
    CreateSchemaStmt T_CreateSchemaStmt,
    CreateSeqStmt T_CreateSeqStmt,
    CreateStatsStmt T_CreateStatsStmt,
    CreateStmt T_CreateStmt,
    CreateTableAsStmt T_CreateTableAsStmt,
    CreateTransformStmt T_CreateTransformStmt,
    CreateTrigStmt T_CreateTrigStmt,
    CreateUserMappingStmt T_CreateUserMappingStmt,
    DefElem T_DefElem,
    DefineStmt T_DefineStmt,
    DeleteStmt T_DeleteStmt,
    DiscardStmt T_DiscardStmt,
    DropStmt T_DropStmt,
    FuncCall T_FuncCall,
    FunctionParameter T_FunctionParameter,
    GrantStmt T_GrantStmt,
    IndexElem T_IndexElem,
    IndexStmt T_IndexStmt,
    InsertStmt T_InsertStmt,
    List T_List,
    LockStmt T_LockStmt,
    MergeStmt T_MergeStmt,
    MinMaxExpr T_MinMaxExpr,
    ObjectWithArgs T_ObjectWithArgs,
    PartitionCmd T_PartitionCmd,
    PublicationObjSpec T_PublicationObjSpec,
    RangeVar T_RangeVar,
    RawStmt T_RawStmt,
    RefreshMatViewStmt T_RefreshMatViewStmt,
    ReindexStmt T_ReindexStmt,
    RenameStmt T_RenameStmt,
    ReplicaIdentityStmt T_ReplicaIdentityStmt,
    ResTarget T_ResTarget,
    RuleStmt T_RuleStmt,
    SQLValueFunction T_SQLValueFunction,
    SelectStmt T_SelectStmt,
    String T_String,
    TransactionStmt T_TransactionStmt,
    TruncateStmt T_TruncateStmt,
    TypeCast T_TypeCast,
    TypeName T_TypeName,
    UpdateStmt T_UpdateStmt,
    VacuumRelation T_VacuumRelation,
    VacuumStmt T_VacuumStmt,
    VariableSetStmt T_VariableSetStmt,
    ViewStmt T_ViewStmt,
}

/// What a pointer of the tree points at.
pub fn at<'a, T>(pointer: *const T) -> Option<&'a T> {
    // SAFETY: null or a part of the parse tree, which outlives the reading (see above).
    unsafe { pointer.as_ref() }
}

/// The node as its own type, if its tag says that it is of it.
pub fn cast<'a, T: Tagged>(pointer: *const Node) -> Option<&'a T> {
    let node = at(pointer)?;
    // SAFETY: the tag says which struct begins at this address.
    (node.type_ == T::TAG).then(|| unsafe { &*pointer.cast::<T>() })
}

/// The nodes of a list of pointers.
pub fn items(list: *const pg_sys::List) -> Vec<*const Node> {
    let Some(list) = at(list) else {
        return Vec::new();
    };
    if list.type_ != NodeTag::T_List || list.length <= 0 {
        return Vec::new();
    }
    // SAFETY: a T_List holds `length` pointers at `elements`.
    let cells = unsafe { std::slice::from_raw_parts(list.elements, list.length as usize) };
    cells
        .iter()
        // SAFETY: as above, so the pointer is the live field of the union.
        .map(|cell| unsafe { cell.ptr_value }.cast_const().cast())
        .collect()
}

pub fn is_empty(list: *const pg_sys::List) -> bool {
    at(list).is_none_or(|list| list.length == 0)
}

pub fn text(pointer: *const c_char) -> Option<String> {
    // SAFETY: null or a string of the parse tree, ended by a zero byte.
    (!pointer.is_null()).then(|| {
        unsafe { CStr::from_ptr(pointer) }
            .to_string_lossy()
            .into_owned()
    })
}

/// A list of `String` nodes; other nodes (`*`) are left out.
pub fn strings(list: *const pg_sys::List) -> Vec<String> {
    items(list)
        .into_iter()
        .filter_map(|node| text(cast::<pg_sys::String>(node)?.sval))
        .collect()
}

/// What an expression mentions, also inside queries.
#[derive(Default)]
pub struct Mentions {
    /// Each as the parts of its name.
    pub columns: Vec<Vec<String>>,
    /// Without their schemas; `now` stands for `CURRENT_TIMESTAMP` and its kin.
    pub functions: Vec<String>,
}

/// `None`: it is nested too deeply to tell.
pub fn mentions(expression: *mut Node) -> Option<Mentions> {
    let mut found = Mentions::default();
    let target: *mut c_void = (&raw mut found).cast();
    let whole = PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the walker only reads the tree; `found` outlives the call.
        unsafe { collect(expression, target) };
        true
    }))
    // All it can raise is that the stack is too deep; nothing is held that a rollback would free.
    .catch_others(|_| false)
    .execute();
    whole.then_some(found)
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn collect(node: *mut Node, target: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    // SAFETY: the value of `mentions`; no other reference to it lives while this runs.
    let found = unsafe { &mut *target.cast::<Mentions>() };
    if let Some(reference) = cast::<pg_sys::ColumnRef>(node) {
        found.columns.push(strings(reference.fields));
        return false;
    }
    if let Some(call) = cast::<pg_sys::FuncCall>(node) {
        found.functions.extend(strings(call.funcname).pop());
    }
    if let Some(value) = cast::<pg_sys::SQLValueFunction>(node) {
        if value.op <= pg_sys::SQLValueFunctionOp::SVFOP_LOCALTIMESTAMP_N {
            found.functions.push("now".to_owned());
        }
        return false;
    }
    // SAFETY: a raw expression; the callback has the walker's signature.
    unsafe { pg_sys::raw_expression_tree_walker(node, Some(collect), target) }
}

/// The relations a query or a data statement mentions, once each; also names of its own WITH
/// clauses.
pub fn relations(statement: *const Node) -> Vec<Name> {
    let mut found: Vec<Name> = Vec::new();
    let target: *mut c_void = (&raw mut found).cast();
    PgTryBuilder::new(AssertUnwindSafe(|| {
        // SAFETY: the walker only reads the tree; `found` outlives the call.
        unsafe { collect_relations(statement.cast_mut(), target) };
    }))
    // Nested too deeply: what was found so far is told.
    .catch_others(|_| ())
    .execute();
    found.dedup();
    found
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn collect_relations(node: *mut Node, target: *mut c_void) -> bool {
    if node.is_null() {
        return false;
    }
    if let Some(range) = cast::<pg_sys::RangeVar>(node) {
        // SAFETY: the value of `relations`; no other reference to it lives while this runs.
        let found = unsafe { &mut *target.cast::<Vec<Name>>() };
        found.extend(read::name(range));
        return false;
    }
    // SAFETY: a raw data statement or a part of one; the callback has the walker's signature.
    unsafe { pg_sys::raw_expression_tree_walker(node, Some(collect_relations), target) }
}

/// What PostgreSQL calls the column of an index on this expression (`FigureIndexColname`);
/// `None`: `expr`.
pub fn figure_name(expression: *const Node) -> Option<String> {
    figure(expression).map(|(name, _)| name)
}

/// The name, and whether it is better than that of a type.
fn figure(node: *const Node) -> Option<(String, bool)> {
    let strong = |name: Option<String>| name.map(|name| (name, true));
    let fixed = |name: &str| Some((name.to_owned(), true));
    if let Some(node) = cast::<pg_sys::ColumnRef>(node) {
        return strong(strings(node.fields).pop());
    }
    if let Some(node) = cast::<pg_sys::A_Indirection>(node) {
        return strong(strings(node.indirection).pop()).or_else(|| figure(node.arg));
    }
    if let Some(node) = cast::<pg_sys::FuncCall>(node) {
        return strong(strings(node.funcname).pop());
    }
    if let Some(node) = cast::<pg_sys::TypeCast>(node) {
        return match figure(node.arg) {
            Some((name, true)) => Some((name, true)),
            weak => at(node.typeName)
                .and_then(|name| strings(name.names).pop())
                .map(|name| (name, false))
                .or(weak),
        };
    }
    if let Some(node) = cast::<pg_sys::CollateClause>(node) {
        return figure(node.arg);
    }
    if cast::<pg_sys::CoalesceExpr>(node).is_some() {
        return fixed("coalesce");
    }
    if let Some(node) = cast::<pg_sys::MinMaxExpr>(node) {
        return fixed(if node.op == pg_sys::MinMaxOp::IS_GREATEST {
            "greatest"
        } else {
            "least"
        });
    }
    if let Some(node) = cast::<pg_sys::A_Expr>(node) {
        return (node.kind == pg_sys::A_Expr_Kind::AEXPR_NULLIF)
            .then(|| ("nullif".to_owned(), true));
    }
    if let Some(node) = cast::<pg_sys::CaseExpr>(node) {
        return match figure(node.defresult.cast()) {
            Some((name, true)) => Some((name, true)),
            _ => Some(("case".to_owned(), false)),
        };
    }
    match at(node)?.type_ {
        NodeTag::T_A_ArrayExpr => fixed("array"),
        NodeTag::T_RowExpr => fixed("row"),
        _ => None,
    }
}
