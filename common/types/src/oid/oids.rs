//! The oids of PostgreSQL 15's built-in types: part of its wire protocol, so clients compile them in.

use super::Oid;

/// `boolean`
pub const BOOL: Oid = Oid(16);
/// `boolean[]`
pub const BOOL_ARRAY: Oid = Oid(1000);
/// `bytea`
pub const BYTEA: Oid = Oid(17);
/// `bytea[]`
pub const BYTEA_ARRAY: Oid = Oid(1001);
/// `"char"`
pub const CHAR: Oid = Oid(18);
/// `"char"[]`
pub const CHAR_ARRAY: Oid = Oid(1002);
/// `name`
pub const NAME: Oid = Oid(19);
/// `name[]`
pub const NAME_ARRAY: Oid = Oid(1003);
/// `bigint`
pub const INT8: Oid = Oid(20);
/// `bigint[]`
pub const INT8_ARRAY: Oid = Oid(1016);
/// `smallint`
pub const INT2: Oid = Oid(21);
/// `smallint[]`
pub const INT2_ARRAY: Oid = Oid(1005);
/// `int2vector`
pub const INT2VECTOR: Oid = Oid(22);
/// `int2vector[]`
pub const INT2VECTOR_ARRAY: Oid = Oid(1006);
/// `integer`
pub const INT4: Oid = Oid(23);
/// `integer[]`
pub const INT4_ARRAY: Oid = Oid(1007);
/// `regproc`
pub const REGPROC: Oid = Oid(24);
/// `regproc[]`
pub const REGPROC_ARRAY: Oid = Oid(1008);
/// `text`
pub const TEXT: Oid = Oid(25);
/// `text[]`
pub const TEXT_ARRAY: Oid = Oid(1009);
/// `oid`
pub const OID: Oid = Oid(26);
/// `oid[]`
pub const OID_ARRAY: Oid = Oid(1028);
/// `tid`
pub const TID: Oid = Oid(27);
/// `tid[]`
pub const TID_ARRAY: Oid = Oid(1010);
/// `xid`
pub const XID: Oid = Oid(28);
/// `xid[]`
pub const XID_ARRAY: Oid = Oid(1011);
/// `cid`
pub const CID: Oid = Oid(29);
/// `cid[]`
pub const CID_ARRAY: Oid = Oid(1012);
/// `oidvector`
pub const OIDVECTOR: Oid = Oid(30);
/// `oidvector[]`
pub const OIDVECTOR_ARRAY: Oid = Oid(1013);
/// `json`
pub const JSON: Oid = Oid(114);
/// `json[]`
pub const JSON_ARRAY: Oid = Oid(199);
/// `xml`
pub const XML: Oid = Oid(142);
/// `xml[]`
pub const XML_ARRAY: Oid = Oid(143);
/// `pg_node_tree`
pub const PG_NODE_TREE: Oid = Oid(194);
/// `table_am_handler`
pub const TABLE_AM_HANDLER: Oid = Oid(269);
/// `index_am_handler`
pub const INDEX_AM_HANDLER: Oid = Oid(325);
/// `point`
pub const POINT: Oid = Oid(600);
/// `point[]`
pub const POINT_ARRAY: Oid = Oid(1017);
/// `lseg`
pub const LSEG: Oid = Oid(601);
/// `lseg[]`
pub const LSEG_ARRAY: Oid = Oid(1018);
/// `path`
pub const PATH: Oid = Oid(602);
/// `path[]`
pub const PATH_ARRAY: Oid = Oid(1019);
/// `box`
pub const BOX: Oid = Oid(603);
/// `box[]`
pub const BOX_ARRAY: Oid = Oid(1020);
/// `polygon`
pub const POLYGON: Oid = Oid(604);
/// `polygon[]`
pub const POLYGON_ARRAY: Oid = Oid(1027);
/// `line`
pub const LINE: Oid = Oid(628);
/// `line[]`
pub const LINE_ARRAY: Oid = Oid(629);
/// `cidr`
pub const CIDR: Oid = Oid(650);
/// `cidr[]`
pub const CIDR_ARRAY: Oid = Oid(651);
/// `real`
pub const FLOAT4: Oid = Oid(700);
/// `real[]`
pub const FLOAT4_ARRAY: Oid = Oid(1021);
/// `double precision`
pub const FLOAT8: Oid = Oid(701);
/// `double precision[]`
pub const FLOAT8_ARRAY: Oid = Oid(1022);
/// `unknown`
pub const UNKNOWN: Oid = Oid(705);
/// `circle`
pub const CIRCLE: Oid = Oid(718);
/// `circle[]`
pub const CIRCLE_ARRAY: Oid = Oid(719);
/// `macaddr8`
pub const MACADDR8: Oid = Oid(774);
/// `macaddr8[]`
pub const MACADDR8_ARRAY: Oid = Oid(775);
/// `money`
pub const MONEY: Oid = Oid(790);
/// `money[]`
pub const MONEY_ARRAY: Oid = Oid(791);
/// `macaddr`
pub const MACADDR: Oid = Oid(829);
/// `macaddr[]`
pub const MACADDR_ARRAY: Oid = Oid(1040);
/// `inet`
pub const INET: Oid = Oid(869);
/// `inet[]`
pub const INET_ARRAY: Oid = Oid(1041);
/// `aclitem`
pub const ACLITEM: Oid = Oid(1033);
/// `aclitem[]`
pub const ACLITEM_ARRAY: Oid = Oid(1034);
/// `character`
pub const BPCHAR: Oid = Oid(1042);
/// `character[]`
pub const BPCHAR_ARRAY: Oid = Oid(1014);
/// `character varying`
pub const VARCHAR: Oid = Oid(1043);
/// `character varying[]`
pub const VARCHAR_ARRAY: Oid = Oid(1015);
/// `date`
pub const DATE: Oid = Oid(1082);
/// `date[]`
pub const DATE_ARRAY: Oid = Oid(1182);
/// `time without time zone`
pub const TIME: Oid = Oid(1083);
/// `time without time zone[]`
pub const TIME_ARRAY: Oid = Oid(1183);
/// `timestamp without time zone`
pub const TIMESTAMP: Oid = Oid(1114);
/// `timestamp without time zone[]`
pub const TIMESTAMP_ARRAY: Oid = Oid(1115);
/// `timestamp with time zone`
pub const TIMESTAMPTZ: Oid = Oid(1184);
/// `timestamp with time zone[]`
pub const TIMESTAMPTZ_ARRAY: Oid = Oid(1185);
/// `interval`
pub const INTERVAL: Oid = Oid(1186);
/// `interval[]`
pub const INTERVAL_ARRAY: Oid = Oid(1187);
/// `time with time zone`
pub const TIMETZ: Oid = Oid(1266);
/// `time with time zone[]`
pub const TIMETZ_ARRAY: Oid = Oid(1270);
/// `bit`
pub const BIT: Oid = Oid(1560);
/// `bit[]`
pub const BIT_ARRAY: Oid = Oid(1561);
/// `bit varying`
pub const VARBIT: Oid = Oid(1562);
/// `bit varying[]`
pub const VARBIT_ARRAY: Oid = Oid(1563);
/// `numeric`
pub const NUMERIC: Oid = Oid(1700);
/// `numeric[]`
pub const NUMERIC_ARRAY: Oid = Oid(1231);
/// `refcursor`
pub const REFCURSOR: Oid = Oid(1790);
/// `refcursor[]`
pub const REFCURSOR_ARRAY: Oid = Oid(2201);
/// `regprocedure`
pub const REGPROCEDURE: Oid = Oid(2202);
/// `regprocedure[]`
pub const REGPROCEDURE_ARRAY: Oid = Oid(2207);
/// `regoper`
pub const REGOPER: Oid = Oid(2203);
/// `regoper[]`
pub const REGOPER_ARRAY: Oid = Oid(2208);
/// `regoperator`
pub const REGOPERATOR: Oid = Oid(2204);
/// `regoperator[]`
pub const REGOPERATOR_ARRAY: Oid = Oid(2209);
/// `regclass`
pub const REGCLASS: Oid = Oid(2205);
/// `regclass[]`
pub const REGCLASS_ARRAY: Oid = Oid(2210);
/// `regtype`
pub const REGTYPE: Oid = Oid(2206);
/// `regtype[]`
pub const REGTYPE_ARRAY: Oid = Oid(2211);
/// `record`
pub const RECORD: Oid = Oid(2249);
/// `record[]`
pub const RECORD_ARRAY: Oid = Oid(2287);
/// `cstring`
pub const CSTRING: Oid = Oid(2275);
/// `cstring[]`
pub const CSTRING_ARRAY: Oid = Oid(1263);
/// `"any"`
pub const ANY: Oid = Oid(2276);
/// `anyarray`
pub const ANYARRAY: Oid = Oid(2277);
/// `void`
pub const VOID: Oid = Oid(2278);
/// `trigger`
pub const TRIGGER: Oid = Oid(2279);
/// `language_handler`
pub const LANGUAGE_HANDLER: Oid = Oid(2280);
/// `internal`
pub const INTERNAL: Oid = Oid(2281);
/// `anyelement`
pub const ANYELEMENT: Oid = Oid(2283);
/// `anynonarray`
pub const ANYNONARRAY: Oid = Oid(2776);
/// `uuid`
pub const UUID: Oid = Oid(2950);
/// `uuid[]`
pub const UUID_ARRAY: Oid = Oid(2951);
/// `txid_snapshot`
pub const TXID_SNAPSHOT: Oid = Oid(2970);
/// `txid_snapshot[]`
pub const TXID_SNAPSHOT_ARRAY: Oid = Oid(2949);
/// `fdw_handler`
pub const FDW_HANDLER: Oid = Oid(3115);
/// `tsm_handler`
pub const TSM_HANDLER: Oid = Oid(3310);
/// `anyenum`
pub const ANYENUM: Oid = Oid(3500);
/// `tsvector`
pub const TSVECTOR: Oid = Oid(3614);
/// `tsvector[]`
pub const TSVECTOR_ARRAY: Oid = Oid(3643);
/// `tsquery`
pub const TSQUERY: Oid = Oid(3615);
/// `tsquery[]`
pub const TSQUERY_ARRAY: Oid = Oid(3645);
/// `gtsvector`
pub const GTSVECTOR: Oid = Oid(3642);
/// `gtsvector[]`
pub const GTSVECTOR_ARRAY: Oid = Oid(3644);
/// `regconfig`
pub const REGCONFIG: Oid = Oid(3734);
/// `regconfig[]`
pub const REGCONFIG_ARRAY: Oid = Oid(3735);
/// `regdictionary`
pub const REGDICTIONARY: Oid = Oid(3769);
/// `regdictionary[]`
pub const REGDICTIONARY_ARRAY: Oid = Oid(3770);
/// `jsonb`
pub const JSONB: Oid = Oid(3802);
/// `jsonb[]`
pub const JSONB_ARRAY: Oid = Oid(3807);
/// `anyrange`
pub const ANYRANGE: Oid = Oid(3831);
/// `event_trigger`
pub const EVENT_TRIGGER: Oid = Oid(3838);
/// `int4range`
pub const INT4RANGE: Oid = Oid(3904);
/// `int4range[]`
pub const INT4RANGE_ARRAY: Oid = Oid(3905);
/// `numrange`
pub const NUMRANGE: Oid = Oid(3906);
/// `numrange[]`
pub const NUMRANGE_ARRAY: Oid = Oid(3907);
/// `tsrange`
pub const TSRANGE: Oid = Oid(3908);
/// `tsrange[]`
pub const TSRANGE_ARRAY: Oid = Oid(3909);
/// `tstzrange`
pub const TSTZRANGE: Oid = Oid(3910);
/// `tstzrange[]`
pub const TSTZRANGE_ARRAY: Oid = Oid(3911);
/// `daterange`
pub const DATERANGE: Oid = Oid(3912);
/// `daterange[]`
pub const DATERANGE_ARRAY: Oid = Oid(3913);
/// `int8range`
pub const INT8RANGE: Oid = Oid(3926);
/// `int8range[]`
pub const INT8RANGE_ARRAY: Oid = Oid(3927);
/// `jsonpath`
pub const JSONPATH: Oid = Oid(4072);
/// `jsonpath[]`
pub const JSONPATH_ARRAY: Oid = Oid(4073);
/// `regnamespace`
pub const REGNAMESPACE: Oid = Oid(4089);
/// `regnamespace[]`
pub const REGNAMESPACE_ARRAY: Oid = Oid(4090);
/// `regrole`
pub const REGROLE: Oid = Oid(4096);
/// `regrole[]`
pub const REGROLE_ARRAY: Oid = Oid(4097);
/// `regcollation`
pub const REGCOLLATION: Oid = Oid(4191);
/// `regcollation[]`
pub const REGCOLLATION_ARRAY: Oid = Oid(4192);
/// `int4multirange`
pub const INT4MULTIRANGE: Oid = Oid(4451);
/// `int4multirange[]`
pub const INT4MULTIRANGE_ARRAY: Oid = Oid(6150);
/// `nummultirange`
pub const NUMMULTIRANGE: Oid = Oid(4532);
/// `nummultirange[]`
pub const NUMMULTIRANGE_ARRAY: Oid = Oid(6151);
/// `tsmultirange`
pub const TSMULTIRANGE: Oid = Oid(4533);
/// `tsmultirange[]`
pub const TSMULTIRANGE_ARRAY: Oid = Oid(6152);
/// `tstzmultirange`
pub const TSTZMULTIRANGE: Oid = Oid(4534);
/// `tstzmultirange[]`
pub const TSTZMULTIRANGE_ARRAY: Oid = Oid(6153);
/// `datemultirange`
pub const DATEMULTIRANGE: Oid = Oid(4535);
/// `datemultirange[]`
pub const DATEMULTIRANGE_ARRAY: Oid = Oid(6155);
/// `int8multirange`
pub const INT8MULTIRANGE: Oid = Oid(4536);
/// `int8multirange[]`
pub const INT8MULTIRANGE_ARRAY: Oid = Oid(6157);
/// `anymultirange`
pub const ANYMULTIRANGE: Oid = Oid(4537);
/// `anycompatiblemultirange`
pub const ANYCOMPATIBLEMULTIRANGE: Oid = Oid(4538);
/// `xid8`
pub const XID8: Oid = Oid(5069);
/// `xid8[]`
pub const XID8_ARRAY: Oid = Oid(271);
/// `anycompatible`
pub const ANYCOMPATIBLE: Oid = Oid(5077);
/// `anycompatiblearray`
pub const ANYCOMPATIBLEARRAY: Oid = Oid(5078);
/// `anycompatiblenonarray`
pub const ANYCOMPATIBLENONARRAY: Oid = Oid(5079);
/// `anycompatiblerange`
pub const ANYCOMPATIBLERANGE: Oid = Oid(5080);
