"""The tables and views: columns as AdventureWorks declares them, and the rows of the small tables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from sandbox.adventureworks.generated_columns import below, choice, decimals, guids, numbers, pattern
from sandbox.adventureworks.orders import ADDRESSES, CUSTOMERS, FIRST_PRODUCT, PRODUCTS, list_price
from sandbox.sqlserver.data import all_types as boundary
from sandbox.sqlserver.system.specs import TableSpec, columns

_TAIL = "rowguid uniqueidentifier not default NEWID()\nModifiedDate datetime not default GETDATE()"
_ORDER_MONEY = """
    SubTotal money not default 0.00
    TaxAmt money not default 0.00
    Freight money not default 0.00
    TotalDue money not as ISNULL(SubTotal + TaxAmt + Freight, 0)
"""
SPECS = [
    TableSpec(
        "Sales",
        "SalesOrderHeader",
        columns(f"""
        SalesOrderID int not identity
        RevisionNumber tinyint not default 0
        OrderDate datetime not default GETDATE()
        DueDate datetime not
        ShipDate datetime
        Status tinyint not default 1
        OnlineOrderFlag bit not alias Flag default 1
        SalesOrderNumber nvarchar(25) not as ISNULL(N'SO' + CONVERT(nvarchar(23), SalesOrderID), N'*** ERROR ***')
        PurchaseOrderNumber nvarchar(25) alias OrderNumber
        AccountNumber nvarchar(15) alias AccountNumber
        CustomerID int not
        SalesPersonID int
        TerritoryID int
        BillToAddressID int not
        ShipToAddressID int not
        ShipMethodID int not
        CreditCardID int
        CreditCardApprovalCode varchar(15)
        CurrencyRateID int
        {_ORDER_MONEY}
        Comment nvarchar(128)
        {_TAIL}
    """),
        ["SalesOrderID"],
        [["rowguid"], ["SalesOrderNumber"]],
        note="General sales order information.",
    ),
    TableSpec(
        "Sales",
        "SalesOrderDetail",
        columns(f"""
        SalesOrderID int not
        SalesOrderDetailID int not identity
        CarrierTrackingNumber nvarchar(25)
        OrderQty smallint not
        ProductID int not
        SpecialOfferID int not
        UnitPrice money not
        UnitPriceDiscount money not default 0.0
        LineTotal numeric(38,6) not as ISNULL(UnitPrice * (1.0 - UnitPriceDiscount) * OrderQty, 0.0)
        {_TAIL}
    """),
        ["SalesOrderID", "SalesOrderDetailID"],
        [["rowguid"]],
        note="Individual products of a sales order.",
    ),
    TableSpec(
        "Purchasing",
        "PurchaseOrderHeader",
        columns(f"""
        PurchaseOrderID int not identity
        RevisionNumber tinyint not default 0
        Status tinyint not default 1
        EmployeeID int not
        VendorID int not
        ShipMethodID int not
        OrderDate datetime not default GETDATE()
        ShipDate datetime
        {_ORDER_MONEY}
        ModifiedDate datetime not default GETDATE()
    """),
        ["PurchaseOrderID"],
    ),
    TableSpec(
        "Purchasing",
        "PurchaseOrderDetail",
        columns("""
        PurchaseOrderID int not
        PurchaseOrderDetailID int not identity
        DueDate datetime not
        OrderQty smallint not
        ProductID int not
        UnitPrice money not
        LineTotal money not as ISNULL(OrderQty * UnitPrice, 0.00)
        ReceivedQty decimal(8,2) not
        RejectedQty decimal(8,2) not
        StockedQty decimal(9,2) not as ISNULL(ReceivedQty - RejectedQty, 0.00)
        ModifiedDate datetime not default GETDATE()
    """),
        ["PurchaseOrderID", "PurchaseOrderDetailID"],
    ),
    TableSpec(
        "Sales",
        "Customer",
        columns(f"""
        CustomerID int not identity
        PersonID int
        StoreID int
        TerritoryID int
        AccountNumber varchar(10) not
        {_TAIL}
    """),
        ["CustomerID"],
        [["AccountNumber"]],
    ),
    TableSpec(
        "Sales",
        "SalesTerritory",
        columns(f"""
        TerritoryID int not identity
        Name nvarchar(50) not alias Name
        CountryRegionCode nvarchar(3) not
        Group nvarchar(50) not
        SalesYTD money not default 0.00
        {_TAIL}
    """),
        ["TerritoryID"],
    ),
    TableSpec(
        "Production",
        "Product",
        columns(f"""
        ProductID int not identity
        Name nvarchar(50) not alias Name
        ProductNumber nvarchar(25) not
        MakeFlag bit not alias Flag
        Color nvarchar(15)
        ListPrice money not
        Weight decimal(8,2)
        ProductCategoryID int
        SellStartDate datetime not
        {_TAIL}
    """),
        ["ProductID"],
        [["ProductNumber"]],
    ),
    TableSpec(
        "Production",
        "ProductCategory",
        columns(f"""
        ProductCategoryID int not identity
        Name nvarchar(50) not alias Name
        {_TAIL}
    """),
        ["ProductCategoryID"],
    ),
    TableSpec(
        "Production",
        "TransactionNotes",
        columns("""
        ProductID int
        Quantity int
        Note nvarchar(100)
        NotedAt datetime2(7)
    """),
        note="Has no key and holds exact duplicates.",
    ),
    TableSpec(
        "Production",
        "EmptyShelf",
        columns("""
        ShelfID int not identity
        Label nvarchar(40)
        CheckedAt datetimeoffset(7)
    """),
        ["ShelfID"],
        note="Always empty.",
    ),
    TableSpec(
        "Person",
        "Person",
        columns(f"""
        BusinessEntityID int not
        PersonType nchar(2) not
        Title nvarchar(8)
        FirstName nvarchar(50) not alias Name
        LastName nvarchar(50) not alias Name
        EmailPromotion int not
        AdditionalContactInfo xml
        {_TAIL}
    """),
        ["BusinessEntityID"],
        [["rowguid"]],
    ),
    TableSpec(
        "Person",
        "Address",
        columns(f"""
        AddressID int not identity
        AddressLine1 nvarchar(60) not
        AddressLine2 nvarchar(60)
        City nvarchar(30) not
        PostalCode nvarchar(15) not
        SpatialLocation geography
        {_TAIL}
    """),
        ["AddressID"],
    ),
    TableSpec(
        "HumanResources",
        "Employee",
        columns(f"""
        BusinessEntityID int not
        NationalIDNumber nvarchar(15) not
        LoginID nvarchar(256) not
        OrganizationNode hierarchyid
        JobTitle nvarchar(50) not
        BirthDate date not
        MaritalStatus nchar(1) not
        Gender nchar(1) not
        HireDate date not
        SalariedFlag bit not alias Flag
        VacationHours smallint not
        CurrentFlag bit not alias Flag
        DepartmentID smallint not
        {_TAIL}
    """),
        ["BusinessEntityID"],
        [["NationalIDNumber"]],
    ),
    TableSpec(
        "HumanResources",
        "Department",
        columns("""
        DepartmentID smallint not identity
        Name nvarchar(50) not alias Name
        GroupName nvarchar(50) not alias Name
        ModifiedDate datetime not
    """),
        ["DepartmentID"],
    ),
    TableSpec("dbo", "AllTypes", columns(boundary.COLUMNS), ["id"], note="Every type at its limits."),
]
VIEWS = {
    ("Sales", "vOrderTotals"): """
        SELECT h.SalesOrderID, h.SalesOrderNumber, h.OrderDate, COUNT_BIG(*) AS Lines, SUM(d.OrderQty) AS Quantity,
               SUM(d.LineTotal) AS LineTotal, MAX(h.TotalDue) AS TotalDue
        FROM Sales.SalesOrderHeader AS h JOIN Sales.SalesOrderDetail AS d ON d.SalesOrderID = h.SalesOrderID
        GROUP BY h.SalesOrderID, h.SalesOrderNumber, h.OrderDate""",
    ("HumanResources", "vEmployee"): """
        SELECT e.BusinessEntityID, p.FirstName, p.LastName, e.JobTitle, e.HireDate, d.Name AS Department
        FROM HumanResources.Employee AS e JOIN Person.Person AS p ON p.BusinessEntityID = e.BusinessEntityID
        JOIN HumanResources.Department AS d ON d.DepartmentID = e.DepartmentID""",
}

_FIRST = ["João", "Conceição", "José", "Antônia", "Luís", "Mônica", "Gonçalo", "Ângela", "Íris", "Zoë", "Çelik", "Ana"]
_LAST = ["Gonçalves", "Magalhães", "Araújo", "Simões", "D'Ávila", "Sant’Anna", "São João", "Brandão 🌻", "Assunção", "Lima"]
_CITIES = ["São José dos Campos", "Brasília", "Belém", "Florianópolis", "Évora", "Coimbra", "Niterói", "Goiânia"]
_DEPARTMENTS = ["Engenharia", "Produção", "Expedição", "Finanças", "Relações Públicas", "Manutenção", "Inspeção", "Vendas"]
_JOBS = ["Chefe de Produção", "Técnico", "Vendedor", "Comprador", "Engenheiro", "Diretor"]
_TERRITORIES = [
    ("Northwest", "US", "North America"),
    ("Brasil Sul", "BR", "South America"),
    ("France", "FR", "Europe"),
    ("Germany", "DE", "Europe"),
    ("Portugal", "PT", "Europe"),
    ("Canada", "CA", "North America"),
    ("Australia", "AU", "Pacific"),
    ("Nordeste", "BR", "South America"),
    ("España", "ES", "Europe"),
    ("日本", "JP", "Pacific"),
]
_DAY = 86_400_000_000


def small_tables() -> dict[str, pa.Table]:
    """Every table but the four order tables and dbo.AllTypes, by `schema.name`."""
    person = np.arange(1, 401)
    staff, address = np.arange(1, 291), np.arange(1, ADDRESSES + 1)
    customer, product, note = np.arange(CUSTOMERS), np.arange(PRODUCTS), np.arange(600)
    department, category, territory = np.arange(1, len(_DEPARTMENTS) + 1), np.arange(1, 5), np.arange(1, 11)
    contact = [None if n % 7 else f"<contato><nome>Pessoa {n}</nome><emoji>😀</emoji></contato>" for n in person.tolist()]
    manager = [None if n == 1 else f"/{n % 6 + 1}/" if n < 8 else f"/{n % 6 + 1}/{n}/" for n in staff.tolist()]
    place = [None if n % 9 == 0 else f"POINT (-{40 + n % 9}.{n} -{20 + n % 7}.5)" for n in address.tolist()]
    return {
        "Sales.Customer": _table(
            customer,
            200,
            {
                "CustomerID": _int(11_000 + customer),
                "PersonID": _int(1 + customer % 400),
                "StoreID": numbers(292 + customer % 700, pa.int32(), customer % 3 == 0),
                "TerritoryID": _int(1 + below(201, customer, 10)),
                "AccountNumber": pattern("AW########", 11_000 + customer),
            },
        ),
        "Sales.SalesTerritory": _table(
            territory,
            210,
            {
                "TerritoryID": _int(territory),
                "Name": pa.array([t[0] for t in _TERRITORIES]),
                "CountryRegionCode": pa.array([t[1] for t in _TERRITORIES]),
                "Group": pa.array([t[2] for t in _TERRITORIES]),
                "SalesYTD": decimals(below(211, territory, 10**11), 19, 4),
            },
        ),
        "Production.Product": _table(
            product,
            220,
            {
                "ProductID": _int(FIRST_PRODUCT + product),
                "Name": pattern("Peça ####".replace("ç", "c"), product),
                "ProductNumber": pattern("PC-####", product),
                "MakeFlag": pa.array(below(221, product, 2) == 1),
                "Color": choice(["Preto", "Vermelho", "Azul", None], below(222, product, 4)),
                "ListPrice": decimals(list_price(product), 19, 4),
                "Weight": decimals(below(223, product, 100_000), 8, 2),
                "ProductCategoryID": numbers(1 + below(224, product, 4), pa.int32(), below(225, product, 5) > 0),
                "SellStartDate": numbers(15_000 * _DAY + product * _DAY, pa.timestamp("us")),
            },
        ),
        "Production.ProductCategory": _table(
            category,
            230,
            {
                "ProductCategoryID": _int(category),
                "Name": pa.array(["Bicicletas", "Componentes", "Roupas", "Acessórios"]),
            },
        ),
        "Production.TransactionNotes": pa.table(
            {
                "ProductID": _int(FIRST_PRODUCT + note % 5),
                "Quantity": _int(note % 3),
                "Note": choice(["duplicada", "igual à outra", None, "x"], note % 4),
                # 100 ns since 0001-01-01; 30 distinct values
                "NotedAt": pa.array(639_000_000_000_000_000 + note % 30),
            }
        ),
        "Production.EmptyShelf": pa.table(
            {
                "ShelfID": pa.array([], pa.int32()),
                "Label": pa.array([], pa.string()),
                "CheckedAt": pa.array([], pa.int64()),
            }
        ),
        "Person.Person": _table(
            person,
            240,
            {
                "BusinessEntityID": _int(person),
                "PersonType": choice(["EM", "IN", "SC"], below(241, person, 3)),
                "Title": choice(["Sr.", "Sra.", None], below(242, person, 3)),
                "FirstName": choice([*_FIRST], below(243, person, 12)),
                "LastName": choice([*_LAST], below(244, person, 10)),
                "EmailPromotion": _int(below(245, person, 3)),
                "AdditionalContactInfo": pa.array(contact, pa.string()),
            },
        ),
        "Person.Address": _table(
            address,
            250,
            {
                "AddressID": _int(address),
                "AddressLine1": pattern("Rua ###, casa ##", below(251, address, 10**5)),
                "AddressLine2": choice(["fundos", "", None, None], below(252, address, 4)),
                "City": choice([*_CITIES], below(253, address, 8)),
                "PostalCode": pattern("#####-###", below(254, address, 10**8)),
                "SpatialLocation": pa.array(place, pa.string()),
            },
        ),
        "HumanResources.Employee": _table(
            staff,
            260,
            {
                "BusinessEntityID": _int(staff),
                "NationalIDNumber": pattern("#########", 100_000_000 + staff * 37),
                "LoginID": pattern("adventure-works\\user###", staff),
                "OrganizationNode": pa.array(manager, pa.string()),
                "JobTitle": choice([*_JOBS], below(261, staff, 6)),
                "BirthDate": numbers(-6_000 + below(262, staff, 14_000), pa.date32()),
                "MaritalStatus": choice(["M", "S"], below(263, staff, 2)),
                "Gender": choice(["F", "M"], below(264, staff, 2)),
                "HireDate": numbers(13_000 + below(265, staff, 2_500), pa.date32()),
                "SalariedFlag": pa.array(below(266, staff, 3) == 0),
                "VacationHours": numbers(below(267, staff, 100), pa.int16()),
                "CurrentFlag": pa.array(staff > 3),
                "DepartmentID": numbers(1 + below(268, staff, 8), pa.int16()),
            },
        ),
        "HumanResources.Department": pa.table(
            {
                "DepartmentID": numbers(department, pa.int16()),
                "Name": pa.array(_DEPARTMENTS),
                "GroupName": choice(["Operações", "Administração"], department % 2),
                "ModifiedDate": numbers(department * 0 + 14_000 * _DAY, pa.timestamp("us")),
            }
        ),
    }


def _int(values: Any) -> pa.Array:
    return numbers(values, pa.int32())


def _table(rows: Any, salt: int, columns_: dict[str, pa.Array]) -> pa.Table:
    """With the two columns that end almost every table of AdventureWorks."""
    changed = (15_000 + below(salt + 8, rows, 900)) * _DAY + below(salt + 9, rows, 86_400) * 1_000_000
    tail = {"rowguid": guids(salt + 50_000, rows), "ModifiedDate": numbers(changed, pa.timestamp("us"))}
    return pa.table({**columns_, **tail})
