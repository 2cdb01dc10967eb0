"""The generated tables and views as AdventureWorks declares them."""

from __future__ import annotations

from sandbox.sqlserver.data import all_types
from sandbox.sqlserver.system.specs import TableSpec, parse_columns

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
        parse_columns(f"""
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
        parse_columns(f"""
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
        parse_columns(f"""
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
        parse_columns("""
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
        parse_columns(f"""
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
        parse_columns(f"""
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
        parse_columns(f"""
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
        parse_columns(f"""
        ProductCategoryID int not identity
        Name nvarchar(50) not alias Name
        {_TAIL}
    """),
        ["ProductCategoryID"],
    ),
    TableSpec(
        "Production",
        "TransactionNotes",
        parse_columns("""
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
        parse_columns("""
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
        parse_columns(f"""
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
        parse_columns(f"""
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
        parse_columns(f"""
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
        parse_columns("""
        DepartmentID smallint not identity
        Name nvarchar(50) not alias Name
        GroupName nvarchar(50) not alias Name
        ModifiedDate datetime not
    """),
        ["DepartmentID"],
    ),
    TableSpec("dbo", "AllTypes", parse_columns(all_types.COLUMNS), ["id"], note="Every type at its limits."),
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
